"""The JSON Schema of policy files, and of the hyper-parameters of each model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shoal.base.ranges import declared
from shoal.base.recommender import Recommender
from shoal.models.registry import models
from shoal.policy.draft7 import Schema, closed, document, draft7, reference
from shoal.policy.files import HINT
from shoal.policy.keys import KEYS, STEPS, STRATEGIES, why_not_used
from shoal.policy.ranges import SCALES, TYPES

# keys of hosted recommenders that users write for any model; some do nothing
_HOSTED = (*STEPS, "factors")
_NOT_READ = "Not read by shoal: the command line or an experiment file says this."
_TAKES: dict[str, Schema] = {
    "text": {"type": "string", "minLength": 1},
    "texts": {"type": ["string", "number", "array"]},
    "boolean": {"type": "boolean"},
    "strategy": {"enum": list(STRATEGIES)},
}


def kinds_of(task: str | None = None) -> dict[str, type[Recommender]]:
    """All models by name, or those of one task."""
    return {n: kind for n, kind in models().items() if task is None or kind.task == task}


def hyper_parameters(kind: type[Recommender], *, searched: bool) -> dict[str, Schema]:
    """The hyper-parameters of a model, by name.

    Parameters
    ----------
    kind : class of a model
    searched : bool
        Whether ranges, lists and ``auto`` may stand in place of a value.
    """
    own: dict[str, Schema] = draft7(kind.model_json_schema(mode="validation"))["properties"]
    ranges = declared(kind)
    properties: dict[str, Schema] = {}
    for name, value in own.items():
        kept = ("description", "default")
        about: Schema = {key: value.pop(key) for key in kept if key in value}
        if name in ranges:
            given = ranges[name]
            searchable = f"searched from {given.low:g} to {given.high:g}, {given.scale}"
            about["description"] = f"{about.get('description', name)} ({searchable})"
        ways = [value]
        if searched:
            ways.append({"type": "array", "items": value, "minItems": 1})
            if value.get("type") in ("number", "integer"):
                ways.append(reference("range"))
            if name in ranges:
                ways.append({"const": "auto"})
        properties[name] = {**({"anyOf": ways} if searched else value), **about}
    if kind.presets:
        listed = "; ".join(f"{name}: {values}" for name, values in kind.presets.items())
        properties["preset"] = {
            "enum": list(kind.presets),
            "description": f"A named set of values, which others go before. {listed}",
        }
    return properties


def range_schema() -> Schema:
    """A range in which a hyper-parameter is searched."""
    ends = {"type": "number"}
    return closed(
        {
            "type": {"enum": list(TYPES), "description": "As hosted forms write it; not needed."},
            "min": {**ends, "description": "The lower end, included."},
            "max": {**ends, "description": "The upper end, included."},
            "scale": {"enum": list(SCALES), "description": "How values are drawn.",
                      "default": "linear"},
            "values": {"type": "array", "minItems": 1,
                       "description": "For tunable_categorical: the values to choose from."},
        },
        "A range in which the value is searched.",
    )  # fmt: skip


def settings_definitions(task: str | None, *, searched: bool) -> dict[str, Schema]:
    """A definition ``settings of MODEL`` for each model."""
    found = {
        settings_name(name): closed(hyper_parameters(kind, searched=searched), _summary(kind))
        for name, kind in kinds_of(task).items()
    }
    return {**found, "range": range_schema()} if searched else found


def settings_name(model: str) -> str:
    """The name of the definition of a model's hyper-parameters."""
    return f"settings-of-{model}"


def by_model(key: str, target: str, names: Iterable[str]) -> list[Schema]:
    """``if`` a key names a model, `target` holds that model's hyper-parameters, for each model."""
    return [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": {"properties": {target: reference(settings_name(name))}},
        }
        for name in names
    ]


def policy_schema() -> Schema:
    """The JSON Schema of policy files, in both forms of hosted recommenders."""
    named = {f"policy-{name}": _policy(kind) for name, kind in kinds_of().items()}
    any_policy: Schema = {
        "type": "object",
        "description": "A model and its hyper-parameters.",
        "required": ["policy_type"],
        "properties": {"policy_type": _types()},
        "allOf": [
            {
                "if": {"properties": {"policy_type": {"const": name}}},
                "then": reference(f"policy-{name}"),
            }
            for name in kinds_of()
        ],
    }
    configs = closed(
        {
            "embedding_policy": _described(reference("policy"), "Retrieves items by its vectors."),
            "scoring_policy": _described(reference("policy"), "Scores and ranks items."),
        },
        "One model; both policies together make one that retrieves, then ranks.",
    )
    inference = closed(
        {
            "retrieval_k": {"type": "integer", "minimum": 1,
                            "description": "How many items the first stage finds for the second."},
            **{name: _not_read() for name in (
                "exploration_factor", "diversity_factor", "diversity_attributes",
                "retriever_k_override", "limit")},
        },
        "How the model answers.",
    )  # fmt: skip
    properties: dict[str, Schema] = {
        "model": closed(
            {
                "name": {"type": "string", "description": "What the model is called in tables."},
                "description": {"type": "string", "description": "What it is for."},
                "policy_configs": reference("policy_configs"),
                "inference_config": reference("inference_config"),
                **{name: _not_read() for name in ("slate_size", "pagination_store_ttl")},
            },
            "The model, and perhaps its policies.",
        ),
        "policy_configs": reference("policy_configs"),
        "inference_config": reference("inference_config"),
        "training": closed(
            {
                "models": {"type": "array", "minItems": 1, "items": reference("policy"),
                           "description": "The models that are trained and compared."},
                "tuning": closed(
                    {"total_jobs": {"type": "integer", "minimum": 1,
                                    "description": "Settings that are tried for each model."},
                     "parallel_jobs": _not_read()},
                    "How much is searched."),
                **{name: _not_read() for name in ("schedule", "data_split", "evaluation")},
            },
            "Several models, with values or ranges.",
        ),
        **{name: _not_read() for name in (
            "version", "name", "description", "connectors", "fetch", "data", "index", "deployment",
            "queries")},
    }  # fmt: skip
    definitions = {
        "policy": any_policy, "policy_configs": configs, "inference_config": inference,
        "range": range_schema(), **named,
    }  # fmt: skip
    schema = closed(properties, f"Models and their hyper-parameters. {HINT}.")
    places: list[dict[str, Any]] = [
        {"required": ["policy_configs"]},
        {"required": ["training"]},
        {"required": ["model"], "properties": {"model": {"required": ["policy_configs"]}}},
    ]
    return document({**schema, "anyOf": places}, "shoal policy file", definitions)


def _policy(kind: type[Recommender]) -> Schema:
    """A policy of one model: its hyper-parameters, and keys of hosted forms."""
    properties: dict[str, Schema] = {
        key.name: {**_TAKES[key.takes], "description": key.meaning} for key in KEYS
    }
    for name in _HOSTED:
        if name not in kind.model_fields and (why := why_not_used(kind, name)) is not None:
            properties[name] = {"description": f"Does nothing: {why}."}
    properties |= hyper_parameters(kind, searched=True)
    properties["policy_type"] = {"const": kind.name, "description": _summary(kind)}
    return closed(properties, _summary(kind), ["policy_type"])


def _types() -> Schema:
    """The names of all models, each with what it is."""
    return {"enum": list(kinds_of()), "description": "The model: `shoal info` lists them."}


def _summary(kind: type[Recommender]) -> str:
    return (kind.__doc__ or kind.name).strip().split("\n", maxsplit=1)[0]


def _described(schema: Schema, description: str) -> Schema:
    return {"allOf": [schema], "description": description}


def _not_read() -> Schema:
    return {"description": _NOT_READ}
