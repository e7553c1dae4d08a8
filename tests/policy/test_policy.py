"""Policy files: a model and its hyper-parameters in YAML."""

from __future__ import annotations

import tracemalloc
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
        ("policy_configs: {scoring_policy: {policy_type: ease, l22: 3}}", "'l22'.*it has.*mean l2"),
        ("policy_configs: {scoring_policy: {policy_type: elsa, device: tpu}}", "device='tpu'"),
        (
            "training: {models: [{policy_type: ease}, {policy_type: elsa}]}",
            "holds 2 models .ease, elsa., and one is wanted: .*--policies .*shoal run",
        ),
        (
            "training: {models: [{policy_type: elsa, factors: {min: 64, max: 128}}]}",
            "factors is a range, not one value: `shoal tune --policy .*policy.yaml`",
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


# -- files that mean harm -------------------------------------------------------------------


def laughs(levels: int, join: str) -> str:
    """Nine aliases of nine aliases of …: 9^levels values out of a few hundred bytes."""
    lines = ["a: &a0 {x: 1}"]
    for level in range(1, levels + 1):
        nine = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"k{level}: &a{level} {join.format(nine)}")
    return "\n".join(lines) + "\npolicy_configs: {scoring_policy: {policy_type: ease, l2: 7}}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (laughs(9, "[{}]"), "line 5: too large once its aliases"),  # 3·9⁴ + 820 values
        (laughs(9, "{{<<: [{}]}}"), "too large once its aliases"),
        ("a: " + "[" * 90 + "]" * 90, "line 1: nested too deeply"),
        ("a: " + "[" * 200_000, "101 brackets are open"),
        ("- " * 100_000, "nested too deeply"),
        ("a: &a [*a]", r"\*a is not known"),
        ("#" * 300_000, "longer than 262,144 bytes"),
        (f"l2: {'9' * 6000}", "no YAML"),
    ],
)
def test_a_bomb_is_defused_at_once(text: str, complaint: str, tmp_path: Path) -> None:
    """In memory that a test can bound: the parser's events are counted and nothing is built."""
    file = written(tmp_path, text)
    tracemalloc.start()
    with pytest.raises(ModelError, match=complaint) as error:
        shoal.read_policy(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    assert peak < 50_000_000


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("!!timestamp 2024-99-99", "line 1: leave out the type"),
        ("!!int seven", "leave out the type"),
        ("!!python/object/apply:os.getcwd []", "leave out the type"),
        ("2024-13-45", "valid number"),
        ("2024-01-31", "valid number"),
        ("0x" + "f" * 6000, "too many digits"),
        ("1e999", "finite number"),
        ("[1, [2, 3]]", "not one value"),
        ("[" + "1, " * 5000 + "1]", "not one value"),
    ],
)
def test_types_and_numbers_that_no_setting_has(value: str, complaint: str, tmp_path: Path) -> None:
    text = f"policy_configs: {{scoring_policy: {{policy_type: ease, l2: {value}}}}}"
    with pytest.raises(ModelError, match=complaint) as error:
        shoal.read_policy(written(tmp_path, text))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_anchors_that_save_typing_are_read(tmp_path: Path) -> None:
    text = (
        "usual: &usual {l2: 7}\npolicy_configs: {scoring_policy: {policy_type: ease, <<: *usual}}"
    )
    assert shoal.read_policy(written(tmp_path, text)).model_dump()["l2"] == 7


def test_names_that_control_a_terminal_are_shown_without(tmp_path: Path) -> None:
    models = ['"a\\e[31m"', '"b"']
    listed = ", ".join(f"{{name: {m}, policy_type: ease}}" for m in models)
    with pytest.raises(ModelError, match="holds 2 models") as error:
        shoal.read_policy(written(tmp_path, f"training: {{models: [{listed}]}}"))
    assert str(error.value).isprintable()
