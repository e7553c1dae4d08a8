"""Declare the hyper-parameters of models, and describe invalid ones in one line."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError


def hyper(
    default: Any,
    help: str,
    *,
    search: tuple[float, float] | None = None,
    scale: Literal["linear", "log"] = "linear",
    **bounds: Any,
) -> Any:
    """Declare a hyper-parameter for code, command line, documentation and tuner at once.

    Parameters
    ----------
    default
        Default value; the annotation of the field gives the type.
    help : str
        Description in one line.
    search : (low, high), optional
        Range in which a tuner draws values. Without it the hyper-parameter is not tuned.
    scale : {"linear", "log"}
        Whether a tuner draws uniformly, or uniformly in the logarithm.
    **bounds
        Valid values, as pydantic's ``Field`` takes them: ``ge``, ``gt``, ``le``, ``lt``, …
    """
    extra: Any = {"search": list(search), "scale": scale} if search else None
    return Field(default, description=help, json_schema_extra=extra, **bounds)


def readable(model: type[BaseModel], error: ValidationError) -> str:
    """Describe pydantic's validation error in one line, with the names of the hyper-parameters."""
    problems = []
    for part in error.errors():
        field = ".".join(str(p) for p in part["loc"])
        if part["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields) or "none"
            problems.append(f"no hyper-parameter {field!r} (it has: {known})")
        else:
            problems.append(f"{field}={part['input']!r}: {part['msg'].lower()}")
    return f"{getattr(model, 'name', model.__name__)}: {'; '.join(problems)}"
