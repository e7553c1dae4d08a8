"""`shoal validate` and `shoal schema`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

Shoal = Callable[..., tuple[int, str, str]]

EXPERIMENT = """
name: mine
data: [{file: ratings.csv}, {public: ml-1m}]
models: [popularity, ease, {name: plain, model: ease, tune: false}]
seeds: 3
tuning: {trials: 5, minutes: 0.5}
published: [{data: ml-1m, model: wmf, metric: recall@20, value: 0.3}]
"""
POLICY = """
training:
  models: [{policy_type: ease, l2: {min: 10, max: 100, scale: log}, factors: 3}]
  tuning: {total_jobs: 7}
fetch: {}
"""
REFRESH = "store: versions\nlog: {path: ratings.csv}\nmodel: rlae\nschedule: 24h\n"
ONLINE = "name: autumn\nvariants: {control: {share: 0.5}, more: {share: 0.5, diversity: 0.3}}\n"


@pytest.fixture
def files(ratings: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    folder = ratings.parent
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SHOAL_DATA", raising=False)
    texts = {"experiment": EXPERIMENT, "policy": POLICY, "refresh": REFRESH, "online": ONLINE}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return {name: folder / f"{name}.yaml" for name in texts}


def test_each_kind_of_file_is_recognised(files: dict[str, Path], shoal_command: Shoal) -> None:
    code, out, _ = shoal_command("validate", *files.values())
    assert code == 0
    for words in (
        "experiment mine: ratings, ml-1m, split: strong; 3 models × 3 seeds × 2 data sets; "
        "1 tuned by ndcg@100, each with at most 5 trials or 0.5 minutes",
        "ml-1m is not here yet: `shoal data fetch ml-1m`",
        "published figures of models that this file does not run: wmf",
        "policy ease (ease, l2=10 … 100 (log))",
        "factors is not used",
        "not used: fetch",
        "refresh trains rlae from log by the schedule 24h",
        "online experiment autumn: users are answered by control 50%, more 50%",
    ):
        assert words in " ".join(out.split()), words


def test_as_json(files: dict[str, Path], shoal_command: Shoal) -> None:
    code, out, _ = shoal_command("validate", *files.values(), "--json")
    found = json.loads(out)["files"]
    assert code == 0
    kinds = [file["kind"] for file in found]
    assert kinds == ["experiment", "policy", "refresh", "online experiment"]
    experiment, policy = found[:2]
    assert experiment["models"] == ["popularity", "ease", "plain"]
    assert experiment["tuned"] == ["ease"]
    assert experiment["data"] == [
        {"name": "ratings", "here": True}, {"name": "ml-1m", "here": False}
    ]  # fmt: skip
    assert (experiment["seeds"], experiment["tuning"]["trials"]) == ([0, 1, 2], 5)
    assert (policy["trials"], policy["models"][0]["searched"]) == (7, {"l2": "10 … 100 (log)"})


def test_a_wrong_file_is_told_and_the_others_are_checked(
    files: dict[str, Path], shoal_command: Shoal
) -> None:
    broken = files["experiment"].with_name("broken.yaml")
    broken.write_text(EXPERIMENT.replace("popularity", "popularty"))
    strange = broken.with_name("strange.yaml")
    strange.write_text("a: 1\n")
    code, out, err = shoal_command("validate", broken, strange, files["online"])
    assert code == 1
    assert f"{broken}:4: models.0.model: no model is called 'popularty'" in err
    assert f"{strange}: has keys of no file that shoal knows" in err
    assert "autumn" in out
    code, out, err = shoal_command("validate", broken, files["online"], "--json")
    wrong, right = json.loads(out)["files"]
    assert (wrong["ok"], right["ok"], [one["line"] for one in wrong["errors"]]) == (
        False,
        True,
        [4],
    )
    assert (code, err) == (1, "")
    assert shoal_command("validate", broken.with_name("none.yaml"))[0] == 1


def test_each_problem_has_a_line_of_its_own(files: dict[str, Path], shoal_command: Shoal) -> None:
    broken = files["experiment"].with_name("broken.yaml")
    broken.write_text(EXPERIMENT.replace("popularity", "popularty").replace("seeds: 3", "seeds: x"))
    _, _, err = shoal_command("validate", broken)
    first, second, hint = err.splitlines()
    assert first.startswith(f"{broken}:4: models.0.model: no model is called")
    assert second.startswith(f"{broken}:5: seeds: 'x'")
    assert "docs/experiments.md" in hint
    code, _, err = shoal_command("run", broken)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"?; and 1 more: `shoal validate {broken}` lists them" in err.replace("? And", "?; and")
    policy = files["policy"]
    policy.write_text(POLICY.replace("min: 10", "min: 1000"))
    assert shoal_command("validate", policy)[2].startswith(f"{policy}:3: ")


@pytest.mark.parametrize("kind", ["experiment", "policy", "refresh"])
def test_schemas_are_printed_and_written(
    kind: str, files: dict[str, Path], shoal_command: Shoal, tmp_path: Path
) -> None:
    code, out, _ = shoal_command("schema", kind)
    assert code == 0
    schema = json.loads(out)
    assert Draft7Validator(schema).is_valid(yaml.safe_load(files[kind].read_text()))
    target = tmp_path / "s.json"
    for _ in range(2):  # what shoal wrote may be replaced
        code, out, err = shoal_command("schema", kind, "--out", target)
        assert (code, err) == (0, "")
        assert "# yaml-language-server: $schema=" in out
    assert json.loads(target.read_text()) == schema
    target.write_text("{}")
    assert shoal_command("schema", kind, "--out", target)[0] == 2
    assert target.read_text() == "{}"
    assert shoal_command("schema", kind, "--out", target, "--overwrite")[0] == 0


def test_an_example_with_its_schema(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = ratings.parent / "begin.yaml"
    assert shoal_command("schema", "--example", target)[0] == 0
    schema = json.loads((ratings.parent / "experiment.schema.json").read_text())
    assert Draft7Validator(schema).is_valid(yaml.safe_load(target.read_text()))
    assert shoal_command("validate", target)[0] == 0
    code, _, err = shoal_command("schema", "--example", target)
    assert (code, "--overwrite" in err) == (2, True)
    assert shoal_command("schema", "polic")[0] == 2
