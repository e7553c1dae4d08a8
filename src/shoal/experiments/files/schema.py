"""The JSON Schema of experiment files, from which editors complete keys, models and values."""

from __future__ import annotations

from typing import Any

from shoal import metrics
from shoal.datasets.fetch import entries
from shoal.experiments.files.experiment import MOST_SEEDS, Experiment
from shoal.experiments.files.parts import NAME
from shoal.policy.draft7 import Schema, document, of_model, reference
from shoal.policy.places import SHA256
from shoal.policy.schema import by_model, kinds_of, settings_definitions

ACCURACY = f"^({'|'.join(metrics.ACCURACY)})@[1-9][0-9]*$"
ANY_METRIC = (
    f"^(({'|'.join(metrics.ACCURACY)})@[1-9][0-9]*(:(head|tail))?"
    f"|({'|'.join([*metrics.PER_LIST, *metrics.OVERALL])})@[1-9][0-9]*)$"
)


def experiment_schema() -> Schema:
    """The JSON Schema (draft 7) of experiment files."""
    schema, definitions = of_model(Experiment)
    names = list(kinds_of("ranking"))
    top, parts = schema["properties"], _Parts(definitions)

    # a file may write these shorter than the parts that they become
    top["name"] = {"type": ["string", "number"], "pattern": NAME, **_about(top["name"])}
    top["data"] = {**_one_or_several(reference("DataPart")), **_about(top["data"])}
    seeds: list[Schema] = [
        {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1,
         "uniqueItems": True},
    ]  # fmt: skip
    top["seeds"] = {"anyOf": seeds, "default": 1, **_about(top["seeds"])}
    top["models"]["items"] = {"anyOf": [{"enum": names}, reference("ModelPart")]}

    parts.set("DataPart", "public", enum=[entry.name for entry in entries()])
    for part in ("DataPart", "ModelPart"):
        parts.set(part, "name", type=["string", "number"], pattern=NAME)
    parts.set("ModelPart", "model", enum=names)
    model = definitions["ModelPart"]
    model["allOf"] = by_model("model", "set", names)
    model["oneOf"] = [{"required": ["model"]}, {"required": ["policy"]}]
    definitions["DataPart"]["oneOf"] = [
        {"required": ["public"]}, {"required": ["file"]}, {"required": ["train", "test"]}
    ]  # fmt: skip
    parts.set("TuningPart", "metric", pattern=ACCURACY)
    definitions["TuningPart"]["anyOf"] = [{"required": ["trials"]}, {"required": ["minutes"]}]
    measured = definitions["EvaluationPart"]["properties"]["metrics"]
    measured["items"] = {"type": "string", "pattern": ANY_METRIC}
    measured["uniqueItems"] = True
    for part in ("Published", "Expected"):
        parts.set(part, "metric", pattern=ANY_METRIC)
        for key in ("data", "model"):
            parts.set(part, key, type=["string", "number"])
    sha: Schema = {"type": "string", "pattern": SHA256}
    hashes = definitions["Hashes"]["properties"]
    hashes["raw"] = {
        "anyOf": [sha, {"type": "object", "additionalProperties": sha}], **_about(hashes["raw"])
    }  # fmt: skip
    definitions |= settings_definitions("ranking", searched=True)
    return document(schema, "shoal experiment", definitions)


class _Parts:
    """The definitions of a schema, whose keys are to be told more exactly."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def set(self, part: str, key: str, **more: Any) -> None:
        """Add rules to a key of a part."""
        self._definitions[part]["properties"][key] |= more


def _about(schema: Schema) -> Schema:
    """What a key is for."""
    return {"description": schema["description"]}


def _one_or_several(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}
