"""The resolved file says everything, and means what the first one did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from shoal.base.ranges import Range, declared
from shoal.experiments.files.hosted import experiment_of_policies
from shoal.experiments.files.reading import read_experiment
from shoal.experiments.files.resolved import (
    SCHEMA_FILE,
    resolved,
    write_example,
    write_resolved,
)
from shoal.experiments.files.schema import experiment_schema
from shoal.models.ease import EASE
from tests.experiments.files.loading import load_data

Written = Callable[[str], Path]

TEXT = """
name: a
data: {file: ratings.csv, read: {min_value: 3}}
models:
  - ease
  - {name: big, model: elsa, set: {factors: 64, decay: [0.7, 0.8]}}
  - {name: still, model: ease, set: {l2: 7}, tune: false}
  - {policy: p.yaml}
tuning: {trials: 3}
"""


@pytest.fixture
def text(folder: Path) -> str:
    (folder / "p.yaml").write_text(
        "training: {models: [{name: mine, policy_type: rlae, xi: {min: 0.1, max: 0.2}}]}\n"
    )
    return TEXT


def test_every_default_stands_in_it(written: Written, text: str) -> None:
    content = yaml.safe_load(resolved(read_experiment(written(text))))
    assert content["seeds"] == [0]
    assert content["split"] == {"kind": "strong", "test": 0.1, "validation": 0.1, "resplit": True}
    assert content["data"][0]["name"] == "ratings"
    assert content["data"][0]["read"]["duplicates"] == "last"
    ease, big, still, mine = content["models"]
    assert set(ease["set"]) == set(EASE.model_fields)
    low, high, scale = (getattr(declared(EASE)["l2"], name) for name in ("low", "high", "scale"))
    assert ease["set"]["l2"] == {"min": low, "max": high, "scale": scale}
    assert (big["set"]["factors"], big["set"]["decay"]) == (64, [0.7, 0.8])
    assert still["set"] == EASE(l2=7).model_dump()
    assert (mine["name"], mine["model"]) == ("mine", "rlae")
    assert mine["set"]["xi"] == {"min": 0.1, "max": 0.2, "scale": "linear"}


def test_it_means_the_same_from_another_folder(written: Written, text: str, tmp_path: Path) -> None:
    experiment = read_experiment(written(text))
    path = tmp_path / "runs" / "one" / "experiment.yaml"
    path.parent.mkdir(parents=True)
    write_resolved(experiment, path)
    first = f"# yaml-language-server: $schema={SCHEMA_FILE}"
    assert path.read_text().splitlines()[0] == first
    assert (path.parent / SCHEMA_FILE).is_file()
    assert str(tmp_path) not in path.read_text()
    again = read_experiment(path)
    assert Draft7Validator(experiment_schema()).is_valid(yaml.safe_load(path.read_text()))
    assert [e.label for e in again.entrants] == [e.label for e in experiment.entrants]
    for one, other in zip(again.entrants, experiment.entrants, strict=True):
        assert one.kind is other.kind
        assert again.searches(one) == experiment.searches(other)
        assert one.unfitted().model_dump() == other.unfitted().model_dump()
    # what nobody chose is not fixed, and the model's own ranges are not given ones
    assert again.entrants == experiment.entrants
    assert (again.entrants[0].settings, again.entrants[0].space) == ({}, None)
    (before,), (after,) = load_data(experiment), load_data(again)
    assert before.hashes == after.hashes
    assert resolved(again, path.parent) == resolved(experiment, path.parent)


def test_a_default_that_is_changed_in_a_resolved_file_counts(written: Written) -> None:
    ease = "name: a\ndata: {file: ratings.csv}\nmodels: [ease]\n"
    content = yaml.safe_load(resolved(read_experiment(written(ease))))
    assert "alpha" in content["models"][0]["defaults"]
    content["models"][0]["set"]["alpha"] = 0.25
    (entrant,) = read_experiment(written(yaml.safe_dump(content))).entrants
    assert entrant.settings == {"alpha": 0.25}


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("{kind: leave-last, last: 2}", {"kind": "leave-last", "last": 2, "resplit": True}),
        ("{protocol: mult-vae}",
         {"kind": "strong", "test": 0.1, "protocol": "mult-vae", "resplit": True}),
        ("{kind: weak}", {"kind": "weak", "test": 0.2, "validation": 0.1, "resplit": True}),
    ],
)  # fmt: skip
def test_only_keys_of_the_split_that_mean_something(
    split: str, expected: dict[str, object], written: Written
) -> None:
    plain = f"name: a\ndata: {{file: ratings.csv}}\nmodels: [ease]\nsplit: {split}\n"
    found = resolved(read_experiment(written(plain)))
    assert yaml.safe_load(found)["split"] == expected
    read_experiment(written(found))


def test_variables_of_the_environment_stay(
    written: Written, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_LOGS", str(folder))
    path = written("name: a\ndata: {file: '${MY_LOGS}/ratings.csv'}\nmodels: [ease]\n")
    content = yaml.safe_load(resolved(read_experiment(path)))
    assert content["data"][0]["file"] == "${MY_LOGS}/ratings.csv"


def test_the_example_is_read(folder: Path) -> None:
    write_example(folder / "mine.yaml")
    experiment = read_experiment(folder / "mine.yaml")
    assert (experiment.name, experiment.seeds) == ("my-experiment", (0, 1, 2))
    assert (folder / SCHEMA_FILE).is_file()


def test_a_policy_file_and_a_log_are_an_experiment(folder: Path) -> None:
    path = folder / "two.yaml"
    path.write_text(
        "policy_configs:\n"
        "  embedding_policy: {policy_type: elsa, factors: {type: tunable_int, min: 8, max: 16}}\n"
        "  scoring_policy: {policy_type: ease, event_values: [4, 5], lr: 0.1}\n"
    )
    experiment = experiment_of_policies(path, folder / "ratings.csv")
    (entrant,) = experiment.entrants
    assert (experiment.name, entrant.kind.name) == ("two", "two-stage")
    assert entrant.space == {"retriever.factors": Range(8.0, 16.0, whole=True)}
    assert experiment.tuning is not None
    assert experiment.tuning.trials == 20
    assert "lr is not used" in experiment.notes[0]
    (loaded,) = load_data(experiment)
    all_rows = load_data(read_experiment(_plain(folder)))[0]
    assert 0 < len(loaded.log) < len(all_rows.log)
    again = folder / "again.yaml"
    write_resolved(experiment, again)
    assert read_experiment(again).events == experiment.events == (4, 5)
    assert read_experiment(again).entrants == experiment.entrants


def _plain(folder: Path) -> Path:
    path = folder / "plain.yaml"
    path.write_text("name: a\ndata: {file: ratings.csv}\nmodels: [ease]\n")
    return path
