"""The forms of hosted recommenders: both policies, several models, ranges, keys that do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.base.ranges import Choices, Range, declared
from shoal.errors import ModelError, PolicyWarning
from shoal.models.registry import models
from shoal.policy import PolicySpec, common_events, only_policy, policies_of, policy_file

V1 = """\
model:
  name: for_you_feed
  slate_size: 50
  inference_config: {retrieval_k: 120, exploration_factor: 0.1}
policy_configs:
  embedding_policy:
    policy_type: elsa
    batch_size: 512
    n_epochs: 20
    lr: 0.1
    factors: 10
  scoring_policy:
    policy_type: ease
    l2: 250
connectors: [{type: BigQuery, id: events}]
fetch: {events: "SELECT 1"}
"""

V2 = """\
data: {interaction_table: {name: clicks}}
index: {embeddings: []}
training:
  schedule: "@once"
  data_split: {strategy: user}
  models:
    - name: my_elsa_score_model
      policy_type: elsa
      strategy: early_stopping
      event_values: [purchase, cart]
      factors: {type: tunable_int, min: 10, max: 200}
      lr: {type: tunable_float, min: 0.01, max: 0.1, scale: log}
    - name: closed
      policy_type: rdlae
      l2: {min: 5, max: 500, scale: log}
      xi: [0.1, 0.3]
    - policy_type: ease
    - policy_type: ease
      l2: 7
  tuning: {total_jobs: 12, parallel_jobs: 4}
deployment: {rollout: {strategy: recreate}}
queries: {}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "policy.yaml"
    file.write_text(text)
    return file


def models_in(folder: Path, text: str) -> PolicySpec:
    return only_policy(written(folder, f"training: {{models: [{text}]}}"))


def test_both_policies_are_one_model_of_two_stages(tmp_path: Path) -> None:
    (spec,) = policies_of(written(tmp_path, V1))
    assert (spec.label, spec.name, spec.role) == ("for_you_feed", "two-stage", "scoring")
    assert spec.settings["candidates"] == 120
    retriever, ranker = shoal.read_policy(tmp_path / "policy.yaml").stages  # type: ignore[attr-defined]
    elsa = retriever.model_dump()
    assert retriever.name == "elsa"
    assert [elsa[n] for n in ("batch_size", "n_epochs", "lr", "factors")] == [512, 20, 0.1, 10]
    assert (ranker.name, ranker.model_dump()["l2"]) == ("ease", 250)


def test_what_is_no_model_is_named_in_one_note(tmp_path: Path) -> None:
    file = policy_file(written(tmp_path, V1))
    (note,) = file.notes
    for name in ("connectors", "fetch", "model.slate_size", "inference_config.exploration_factor"):
        assert name in note
    assert policies_of(tmp_path / "policy.yaml")[0].notes == (note,)
    (note,) = policy_file(written(tmp_path, V2)).notes
    for name in ("data, index", "deployment, queries", "training.data_split", "parallel_jobs"):
        assert name in note


def test_several_models_with_ranges(tmp_path: Path) -> None:
    file = policy_file(written(tmp_path, V2))
    assert file.trials == 12
    elsa, rdlae, first, second = file.policies
    assert elsa.label == "my_elsa_score_model"
    assert elsa.settings == {"strategy": "early_stopping"}
    assert elsa.events == ("purchase", "cart")
    assert elsa.space == {
        "factors": Range(10, 200, whole=True),
        "lr": Range(0.01, 0.1, "log"),
    }
    assert rdlae.space == {"l2": Range(5, 500, "log"), "xi": Choices((0.1, 0.3))}
    assert (first.label, second.label, second.settings) == ("ease", "ease-2", {"l2": 7})
    assert not any(policy.notes for policy in file.policies)


@pytest.mark.parametrize("name", models())
def test_every_model_is_a_policy_type(name: str, tmp_path: Path) -> None:
    """A file with the defaults, and with one value that is no default, gives that model again."""
    kind = models()[name]
    default = kind().model_dump()
    ranges = declared(kind)
    changed = {n: ranges[n].at(0.5) for n in ranges}
    for settings in (default, {**default, **changed}):
        lines = [f"  {key}: {_yaml(value)}\n" for key, value in settings.items()]
        text = f"policy_configs:\n scoring_policy:\n  policy_type: {name}\n" + "".join(lines)
        model = shoal.read_policy(written(tmp_path, text))
        assert type(model) is kind
        assert model.model_dump() == kind(**settings).model_dump()


def _yaml(value: Any) -> str:
    import json

    return json.dumps(value)


# -- keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{policy_type: ease, lr: 0.1}", "ease is solved in closed form .*: lr is not used"),
        ("{policy_type: ease, n_epochs: 20}", "closed form .*no epochs.*: n_epochs is not used"),
        ("{policy_type: ease, batch_size: 512}", "batch_size is not used"),
        ("{policy_type: ease, device: cuda}", "device is not used"),
        ("{policy_type: ease, strategy: early_stopping}", "strategy is not used"),
        ("{policy_type: ease, factors: 10}", "a weight for each pair of items and no vectors"),
        ("{policy_type: popularity, factors: 10}", "popularity learns no vectors"),
        ("{policy_type: popularity, lr: 1}", "counts users and is not trained"),
        ("{policy_type: item-knn, lr: 1}", "item-knn is computed and not trained in steps"),
        ("{policy_type: elsa, balance_labels: true}", "balance_labels is not used"),
        ("{policy_type: ease, xi: 0.1}", "xi is a hyper-parameter of .*rlae.*, and ease has none"),
        ("{policy_type: mult-vae, strategy: default, patience: 3}", "patience is not used"),
    ],
)
def test_a_key_that_means_nothing_warns_and_says_why(
    text: str, reason: str, tmp_path: Path
) -> None:
    spec = models_in(tmp_path, text)
    (note,) = spec.notes
    assert note.startswith(f"{tmp_path / 'policy.yaml'}, line 1: ")
    with pytest.warns(PolicyWarning, match=reason):
        model = shoal.read_policy(tmp_path / "policy.yaml")
    assert model.name == spec.name


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    text = "policy_configs:\n  scoring_policy:\n    policy_type: ease\n    l2: 3\n    lr: 0.1\n"
    (note,) = only_policy(written(tmp_path, text)).notes
    assert "policy.yaml, line 5: ease is solved" in note


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{policy_type: mult-vae, strategy: default}", {"patience": 0}),
        ("{policy_type: mult-vae, strategy: early_stopping}", {}),
        ("{policy_type: mult-vae, strategy: early_stopping, patience: 4}", {"patience": 4}),
        (
            "{policy_type: elsa, strategy: default, patience: 4}",
            {"strategy": "default", "patience": 4},
        ),
        ("{policy_type: vasp, preset: paper}", {"preset": "paper"}),
        ("{policy_type: elsa, device: null, event_values: null, lr: null}", {}),
        ("{policy_type: elsa, device: cuda:0}", {"device": "cuda:0"}),
    ],
)
def test_keys_of_hosted_forms_mean_what_they_say(
    text: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    spec = models_in(tmp_path, text)
    assert spec.settings == expected
    if "preset" not in expected:
        patience = shoal.read_policy(tmp_path / "policy.yaml").model_dump().get("patience")
        assert patience == expected.get("patience", models()[spec.name]().model_dump()["patience"])


def test_events_may_be_one_or_several(tmp_path: Path) -> None:
    assert models_in(tmp_path, "{policy_type: ease, event_values: buy}").events == ("buy",)
    assert models_in(tmp_path, "{policy_type: ease, event_values: [5, 4, 5]}").events == (5, 4)


def test_events_of_one_stage_are_those_of_both(tmp_path: Path) -> None:
    text = (
        "policy_configs:\n  embedding_policy: {policy_type: elsa}\n"
        "  scoring_policy: {policy_type: ease, event_values: [buy]}\n"
    )
    (spec,) = policies_of(written(tmp_path, text))
    assert spec.events == ("buy",)
    (note,) = spec.notes
    assert "event_values of scoring_policy are also those of embedding_policy" in note


def test_events_of_models_that_are_compared_are_the_same() -> None:
    mine, same = (
        PolicySpec(n, "ease", events=e) for n, e in (("a", ("x", "y")), ("b", ("y", "x")))
    )
    assert common_events([mine, same]) == ("x", "y")
    assert common_events([]) == ()
    with pytest.raises(ModelError, match="a and c have different event_values"):
        common_events([mine, PolicySpec("c", "elsa")])


# -- what is refused ------------------------------------------------------------------------


def range_of(text: str) -> str:
    return f"training: {{models: [\n  {{policy_type: elsa, factors: {text}}}]}}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (range_of("{min: 200, max: 10}"), "line 2: factors: .* 200 to 10 is reversed: .*min: 10"),
        (range_of("{min: 64, max: 64}"), "line 2: factors: .*is one value: write factors: 64"),
        (range_of("{min: 64}"), "factors: .*has no max: write both ends"),
        (range_of("{type: tunable_int}"), "has no min and no max"),
        (range_of("{min: 1, max: 9, scale: lgo}"), "the scale lgo is none.*did you mean log"),
        (range_of("{min: 0, max: 9}"), "elsa: factors=0"),
        (range_of("{min: 1, max: many}"), "max is many, which is no number"),
        (range_of("{min: 1.5, max: 9}"), "must be whole numbers"),
        (range_of("{type: tunable_float, min: 1, max: 9}"), "takes whole numbers only"),
        (range_of("{type: tunable_itn, min: 1, max: 9}"), "did you mean tunable_int"),
        (range_of("{minn: 1, max: 9}"), "a range has no key minn.*did you mean min"),
        (range_of("{type: tunable_categorical}"), "is no list of values"),
        (range_of("[]"), "empty list"),
        (range_of("[[1], 2]"), "no list of values"),
        (range_of("[16, -1]"), "elsa: factors=-1"),
        ("training: {models: [{policy_type: elsa, batch_size: auto}]}", "declares no range for it"),
        (
            "training: {models: [{policy_type: elsa, lr: {min: -1, max: 1, scale: log}}]}",
            "cannot be searched on a logarithmic scale",
        ),
        (range_of("5, learning_rate: 3"), "'learning_rate'.*did you mean lr"),
        (range_of("5, batchsize: 3"), "did you mean batch_size"),
        (range_of("5, learnin_rate: 3"), "'learnin_rate'.*did you mean lr"),
        (range_of("5, strategy: erly_stopping"), "strategy='erly_stopping'"),
        ("training: {models: [{policy_type: recvae, strategy: erly}]}", "strategy erly is none"),
        (range_of("5, event_values: []"), "event_values is an empty list"),
        (range_of("5, event_values: [[1]]"), "event_values holds .*name events"),
        ("training: {models: [{policy_type: vasp, preset: papre}]}", "no preset 'papre'.*paper"),
        ("training: {models: {policy_type: elsa}}", "models is no list"),
        ("training: {models: [elsa]}", "model 1 names no policy_type"),
        ("training: {tuning: {total_jobs: 0}, models: [{policy_type: ease}]}", "total_jobs is 0"),
        (
            "training: {models: [{name: a, policy_type: ease}, {name: a, policy_type: elsa}]}",
            "two models are called a",
        ),
        ("policy_configs: {scoring: {policy_type: ease}}", "no scoring .there are: scoring_p"),
        ("policy_configs: [1]", "names no policies"),
        (
            "policy_configs: {embedding_policy: {policy_type: ease},\n"
            "  scoring_policy: {policy_type: elsa}}",
            "ease has no vectors of items to retrieve by: name one of .*elsa.*spectral-ease",
        ),
        (
            "policy_configs: {embedding_policy: {policy_type: elsa, event_values: [a]},\n"
            "  scoring_policy: {policy_type: ease, event_values: [b]}}",
            "different event_values",
        ),
        (
            "model: {inference_config: {retrieval_k: 0}}\npolicy_configs:\n"
            "  embedding_policy: {policy_type: elsa}\n  scoring_policy: {policy_type: ease}",
            "line 1: retrieval_k is 0",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(
    text: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=f"policy.yaml.*{complaint}") as error:
        policies_of(written(tmp_path, text))
    assert "\n" not in str(error.value)
    assert len(str(error.value).replace(str(tmp_path), "")) < 500


@pytest.mark.parametrize(
    ("policy_type", "nearest"),
    [
        ("als", "matrix factorisation: take elsa or spectral-ease"),
        ("svd", "spectral-ease"),
        ("lightgbm", "ranker of features: take ease or rdlae"),
        ("xgboost", "ease or rdlae"),
        ("gbdt", "ease or rdlae"),
        ("two-tower", "elsa or spectral-ease"),
        ("two_tower_v2", "elsa or spectral-ease"),
        ("item2vec", "elsa or spectral-ease"),
        ("sasrec", "svae, which reads histories in their order"),
        ("content-gsasrec", "svae"),
        ("bert4rec", "svae"),
        ("ngram", "svae"),
        ("beeformer", "l3ae or ease-text"),
        ("semantic-ids", "l3ae"),
        ("rising-popular", "popularity"),
        ("deepfm", "ease or rdlae"),
        ("Wide & Deep", "ease or rdlae"),
        ("auto-tune", "list models under training.models"),
        ("esla", "Did you mean elsa"),
    ],
)
def test_a_model_that_there_is_not_names_the_nearest(
    policy_type: str, nearest: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=nearest):
        models_in(tmp_path, f"{{policy_type: {policy_type}}}")


def test_auto_is_the_range_that_the_model_declares(tmp_path: Path) -> None:
    spec = models_in(tmp_path, "{policy_type: elsa, lr: auto}")
    assert spec.space == {"lr": declared(models()["elsa"])["lr"]}
    with pytest.raises(ModelError, match="lr is a range"):
        shoal.read_policy(tmp_path / "policy.yaml")
    assert shoal.read_policy(tmp_path / "policy.yaml", {"lr": 0.5}).model_dump()["lr"] == 0.5


def test_numbers_that_yaml_takes_for_texts(tmp_path: Path) -> None:
    """1e-4 has no point, so YAML 1.1 says that it is a text."""
    spec = models_in(tmp_path, "{policy_type: elsa, lr: {min: 1e-4, max: 1e-1, scale: log}}")
    assert spec.space == {"lr": Range(0.0001, 0.1, "log")}
    spec = models_in(tmp_path, "{policy_type: elsa, lr: [1e-4, 1e-3, 0.001]}")
    assert spec.space == {"lr": Choices((0.0001, 0.001))}


def test_ranges_of_both_stages(tmp_path: Path) -> None:
    text = """\
policy_configs:
  embedding_policy: {policy_type: elsa, factors: {min: 8, max: 16}, lr: 0.2}
  scoring_policy: {policy_type: ease, l2: {min: 1, max: 100, scale: log}}
"""
    (spec,) = policies_of(written(tmp_path, text))
    assert spec.space == {
        "retriever.factors": Range(8, 16, whole=True),
        "ranker.l2": Range(1, 100, "log"),
    }
    model = models()["two-stage"](**spec.settings, **{"retriever.factors": 12, "ranker.l2": 5.0})
    first, second = (stage.model_dump() for stage in model.stages)  # type: ignore[attr-defined]
    assert (first["factors"], first["lr"], second["l2"]) == (12, 0.2, 5.0)
