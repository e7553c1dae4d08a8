"""JSON Schemas for editors: valid in draft 7, and they agree with what shoal reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from shoal.errors import ShoalError
from shoal.experiments.files.reading import read_experiment
from shoal.experiments.files.resolved import EXAMPLE
from shoal.experiments.files.schema import experiment_schema
from shoal.models.registry import models
from shoal.policy import policies_of
from shoal.policy.draft7 import draft7
from shoal.policy.schema import policy_schema
from shoal.refresh.example import EXAMPLE as REFRESH
from shoal.refresh.schema import refresh_schema

Written = Callable[[str], Path]
EXPERIMENTS = sorted(Path(__file__).parents[3].glob("experiments/*.yaml"))
SCHEMAS = {
    "experiment": experiment_schema(),
    "policy": policy_schema(),
    "refresh": refresh_schema(),
}


def complaints(kind: str, text: str) -> list[str]:
    content = yaml.safe_load(text)
    return [error.message for error in Draft7Validator(SCHEMAS[kind]).iter_errors(content)]


def mappings(node: Any, inside: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All schemas with keys, and where they are; conditions are not meant to be whole."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield inside, node
        for key, part in node.items():
            if key not in ("if", "then", "anyOf", "oneOf") or not isinstance(part, dict):
                yield from mappings(part, (*inside, str(key)))
    elif isinstance(node, list) and inside[-1:] not in (("allOf",), ("anyOf",), ("oneOf",)):
        for part in node:
            yield from mappings(part, inside)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_it_is_draft_7(kind: str) -> None:
    schema = SCHEMAS[kind]
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = str(schema)
    assert "$defs" not in text
    assert "prefixItems" not in text
    referred = {part.split("'")[0] for part in text.split("'#/definitions/")[1:]}
    assert referred <= set(schema["definitions"])


@pytest.mark.parametrize("kind", SCHEMAS)
def test_no_other_keys_and_a_description_of_each(kind: str) -> None:
    found = 0
    for inside, schema in mappings(SCHEMAS[kind]):
        if inside == ("definitions", "policy"):  # closed by the policy of each type
            continue
        found += 1
        assert schema["additionalProperties"] is False, inside
        for name, key in schema["properties"].items():
            is_named = "$ref" in key  # described where it is defined
            assert is_named or key.get("description"), (inside, name)
    assert found > 30


def test_prefix_items_and_references_become_those_of_draft_7() -> None:
    schema = {
        "$defs": {"A": {"type": "integer", "title": "A"}},
        "properties": {"title": {"$ref": "#/$defs/A", "description": "d"},
                       "pair": {"prefixItems": [{"type": "string"}], "items": False}},
    }  # fmt: skip
    assert draft7(schema) == {
        "definitions": {"A": {"type": "integer"}},
        "properties": {
            "title": {"allOf": [{"$ref": "#/definitions/A"}], "description": "d"},
            "pair": {"items": [{"type": "string"}], "additionalItems": False},
        },
    }


def test_examples_are_valid() -> None:
    assert complaints("experiment", EXAMPLE) == []
    assert complaints("refresh", REFRESH) == []


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_the_experiments_of_the_repository_are_valid(path: Path) -> None:
    assert complaints("experiment", path.read_text()) == []


RIGHT = [
    "name: a\ndata: {public: ml-1m}\nmodels: [ease]\n",
    "name: 1\ndata: [{file: ratings.csv}]\nmodels: [{model: ease, set: {l2: 5}}]\nseeds: [0, 3]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels:\n"
    "  - {model: elsa, set: {lr: auto, factors: {min: 8, max: 64}, batch_size: [64, 128]}}\n"
    "tuning: {minutes: 0.5}\nsplit: {kind: weak, test: 0.3}\n",
    "name: a\ndata: {file: ratings.csv, read: {columns: {user: u}}}\nmodels: [ease]\n"
    "expect: {hashes: {ratings: {raw: " + "b" * 64 + "}}, figures: [{model: ease, "
    "metric: ndcg@100, value: 0.4, tolerance: 0.01}]}\n",
]
WRONG = [
    "name: a\ndata: {public: ml-1n}\nmodels: [ease]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [eaze]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [i-autorec]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [{model: ease, set: {factors: 5}}]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [{model: ease, set: {l2: -5}}]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [{set: {l2: 5}}]\n",
    "name: a\ndata: {file: ratings.csv, public: ml-1m}\nmodels: [ease]\n",
    "name: a\ndata: {train: ratings.csv}\nmodels: [ease]\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [ease]\ntuning: {metric: ndcg@10}\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [ease]\nevaluation: {metrics: [recal@20]}\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [ease]\nseeds: 0\n",
    "name: a\ndata: {file: ratings.csv}\nmodels: [ease]\nmore: 1\n",
    "name: a/b\ndata: {file: ratings.csv}\nmodels: [ease]\n",
    "data: {file: ratings.csv}\nmodels: [ease]\n",
]


POLICIES = [
    "policy_configs: {scoring_policy: {policy_type: ease, l2: 7}}\n",
    "model: {name: m, policy_configs: {embedding_policy: {policy_type: elsa, lr: 0.1}}}\n",
    "policy_configs:\n  scoring_policy:\n    {policy_type: elsa, batch_size: 512, n_epochs: 20, "
    "lr: 0.1, factors: 10, device: cpu, strategy: early_stopping, patience: 4, "
    "event_values: [5]}\n",
    "policy_configs: {scoring_policy: {policy_type: ease, factors: 10, lr: 0.1, batch_size: 9}}\n",
    "training: {models: [{name: a, policy_type: elsa, "
    "factors: {type: tunable_int, min: 8, max: 64}, "
    "lr: {type: tunable_float, min: 0.01, max: 0.3, scale: log}}], tuning: {total_jobs: 12}}\n"
    "data: {}\nqueries: {}\n",
]  # fmt: skip
NO_POLICIES = [
    "policy_configs: {scoring_policy: {policy_type: eaze}}\n",
    "policy_configs: {scoring_policy: {policy_type: ease, l5: 7}}\n",
    "policy_configs: {scoring_policy: {policy_type: ease, l2: -7}}\n",
    "policy_configs: {ranking_policy: {policy_type: ease}}\n",
    "training: {models: [{policy_type: elsa, factors: {type: tunable_imt, min: 8, max: 64}}]}\n",
    "connectors: []\n",
]


READERS: dict[str, Callable[[Path], object]] = {
    "experiment": read_experiment,
    "policy": policies_of,
}


def of_kinds(experiments: list[str], policies: list[str]) -> list[tuple[str, str]]:
    return [("experiment", text) for text in experiments] + [("policy", text) for text in policies]


@pytest.mark.parametrize(("kind", "text"), of_kinds(RIGHT, POLICIES))
def test_what_shoal_reads_is_valid(kind: str, text: str, written: Written) -> None:
    assert READERS[kind](written(text))
    assert complaints(kind, text) == []


@pytest.mark.parametrize(("kind", "text"), of_kinds(WRONG, NO_POLICIES))
def test_what_shoal_refuses_is_not_valid(kind: str, text: str, written: Written) -> None:
    with pytest.raises(ShoalError):
        READERS[kind](written(text))
    assert complaints(kind, text)


@pytest.mark.parametrize("name", sorted(models()))
def test_every_model_is_a_policy_type_with_its_defaults(name: str) -> None:
    values = models()[name]().model_dump(mode="json", exclude_none=True)
    policy = {"policy_type": name, **values}
    text = yaml.safe_dump({"policy_configs": {"scoring_policy": policy}})
    assert complaints("policy", text) == []
    assert complaints(
        "policy", text.replace("policy_type", "no_such_parameter: 1\n    policy_type")
    )


def test_a_refresh_with_a_wrong_key_is_not_valid() -> None:
    assert complaints("refresh", "store: s\nlog: {path: a}\nmodel: ease\nsettings: {l3: 1}\n")
    assert complaints("refresh", "store: s\nlgo: {path: a}\n")
    assert complaints("refresh", "store: s\n")
