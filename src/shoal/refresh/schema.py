"""The JSON Schema of configurations of refreshes."""

from __future__ import annotations

from shoal import metrics
from shoal.policy.draft7 import Schema, document, of_model
from shoal.policy.schema import by_model, kinds_of, settings_definitions
from shoal.refresh.config import Config


def refresh_schema() -> Schema:
    """The JSON Schema (draft 7) of what `shoal refresh` reads."""
    schema, definitions = of_model(Config)
    names = list(kinds_of("ranking"))
    schema["properties"]["model"]["enum"] = names
    schema["allOf"] = by_model("model", "settings", names)
    schema["anyOf"] = [{"required": ["log"]}, {"required": ["events"]}]
    accuracy = f"^({'|'.join(metrics.ACCURACY)})@[1-9][0-9]*$"
    definitions["EvaluationPart"]["properties"]["metric"]["pattern"] = accuracy
    definitions |= settings_definitions("ranking", searched=False)
    return document(schema, "shoal refresh", definitions)
