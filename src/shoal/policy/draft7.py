"""JSON Schema draft 7: what editors of YAML read, made from pydantic's newer form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]


def document(schema: Schema, title: str, definitions: Mapping[str, Schema]) -> Schema:
    """A whole schema: what a file is, and what it refers to."""
    return {"$schema": DRAFT, "title": title, **schema, "definitions": dict(definitions)}


def closed(
    properties: Mapping[str, Any], description: str = "", required: Sequence[str] = ()
) -> Schema:
    """A mapping that has these keys and no others."""
    schema: Schema = {"type": "object"}
    if description:
        schema["description"] = description
    schema |= {"properties": dict(properties), "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def reference(name: str) -> Schema:
    """What stands under a name among the definitions."""
    return {"$ref": f"#/definitions/{name}"}


def of_model(model: type[BaseModel]) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a pydantic model, and the definitions that it refers to, in draft 7."""
    schema: Schema = model.model_json_schema(mode="validation")
    schema = draft7(schema)
    definitions: dict[str, Schema] = schema.pop("definitions", {})
    for part in (schema, *definitions.values()):
        for key in part.get("properties", {}).values():
            if "allOf" in key and "description" not in key:  # pydantic leaves out what is the same
                name = key["allOf"][0]["$ref"].rpartition("/")[2]
                key["description"] = definitions[name]["description"]
    return schema, definitions


def draft7(node: Any) -> Any:
    """A part of a schema in draft 7, without what only Python needs.

    ``$defs`` are ``definitions``; a tuple's ``prefixItems`` are ``items``; draft 7 ignores all keys
    beside a ``$ref``, so they stand around it.
    """
    if isinstance(node, list):
        return [draft7(part) for part in node]
    if not isinstance(node, dict):
        return node
    schema: Schema = {}
    for key, value in node.items():
        if key in ("title", "search", "scale") and not isinstance(value, dict):
            continue  # a name of Python's, and what tuners read; a key of a file may be called so
        if key in ("properties", "$defs", "definitions"):
            name = "properties" if key == "properties" else "definitions"
            schema[name] = {own: draft7(part) for own, part in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            schema[key] = value
        elif key == "$ref":
            schema["$ref"] = value.replace("#/$defs/", "#/definitions/")
        elif key == "prefixItems":
            schema["items"], schema["additionalItems"] = draft7(value), False
        elif not (key == "items" and "prefixItems" in node):
            schema[key] = draft7(value)
    if "$ref" in schema and len(schema) > 1:
        schema = {"allOf": [{"$ref": schema.pop("$ref")}], **schema}
    return _without_null(schema)


def _without_null(schema: Schema) -> Schema:
    """Nobody writes null into a file; and the keys of a mapping have defaults of their own."""
    if schema.get("default", 0) is None or isinstance(schema.get("default"), dict):
        del schema["default"]
    kinds = schema.get("anyOf")
    if isinstance(kinds, list) and {"type": "null"} in kinds:
        others = [kind for kind in kinds if kind != {"type": "null"}]
        del schema["anyOf"]
        schema = {**others[0], **schema} if len(others) == 1 else {"anyOf": others, **schema}
    if "$ref" in schema and len(schema) > 1:
        schema = {"allOf": [{"$ref": schema.pop("$ref")}], **schema}
    return schema
