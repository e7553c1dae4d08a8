"""Policy files: a model and its hyper-parameters in YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

import shoal
from shoal.errors import ModelError
from shoal.models.elsa import ELSA

V1 = """
policy_configs:
  scoring_policy:
    policy_type: elsa
    batch_size: 512
    n_epochs: 20
    lr: 1e-1
    factors: 10
    device: cpu
    strategy: early_stopping
    patience: 4
"""


def written(path: Path, text: str) -> Path:
    file = path / "policy.yaml"
    file.write_text(text)
    return file


def test_the_names_that_users_of_elsa_know(tmp_path: Path) -> None:
    model = shoal.read_policy(written(tmp_path, V1))
    assert isinstance(model, ELSA)
    found = model.model_dump()
    expected = {"batch_size": 512, "n_epochs": 20, "lr": 0.1, "factors": 10, "device": "cpu"}
    expected |= {"strategy": "early_stopping", "patience": 4}
    assert expected.items() <= found.items()
    assert shoal.read_policy(tmp_path / "policy.yaml", {"factors": "64"}).factors == 64


@pytest.mark.parametrize(
    "text",
    [
        "model: {name: m, policy_configs: {embedding_policy: {policy_type: EASE, l2: 7}}}",
        "training: {models: [{name: mine, policy_type: ease, l2: 7}]}",
        '{"policy_configs": {"scoring_policy": {"policy_type": "ease", "l2": 7}}}',
        "connectors: []\npolicy_configs:\n  scoring_policy:\n    policy_type: ease\n    l2: 7",
    ],
)
def test_other_places_and_any_model(text: str, tmp_path: Path) -> None:
    model = shoal.read_policy(written(tmp_path, text))
    assert (model.name, model.model_dump()["l2"]) == ("ease", 7)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [", "line 1: this is no YAML"),
        ("just words", "write policy_configs"),
        ("policy_configs: {scoring_policy: 3}", "scoring_policy names no policy_type"),
        ("policy_configs: {scoring_policy: {policy_type: esla}}", "Did you mean elsa"),
        ("policy_configs: {scoring_policy: {policy_type: ease, factors: 3}}", "'factors'.*it has"),
        ("policy_configs: {scoring_policy: {policy_type: elsa, device: tpu}}", "device='tpu'"),
        (
            "policy_configs:\n  scoring_policy: {policy_type: ease}\n"
            "  embedding_policy: {policy_type: elsa}",
            "holds 2 policies .scoring_policy, embedding_policy.: keep one",
        ),
        (
            "training: {models: [{policy_type: elsa, factors: {type: tunable_int, min: 1}}]}",
            "factors is .*shoal tune --model elsa",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_file(text: str, complaint: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ModelError, match=f"policy.yaml.*{complaint}"):
        shoal.read_policy(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nope\.yaml cannot be read"):
        shoal.read_policy(tmp_path / "nope.yaml")
