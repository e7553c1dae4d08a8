"""How a model declares a hyper-parameter, and what is said of a bad one."""

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
    """Declare a hyper-parameter, once for code, command line, docs and tuner.

    Parameters
    ----------
    default
        Its type and default; the field's annotation gives the type.
    help : str
        One line.
    search : (low, high), optional
        Where a tuner should look.
    scale : {"linear", "log"}
        How a tuner should space its trials.
    **bounds
        ``ge``, ``gt``, ``le``, ``lt``: what is valid at all.
    """
    extra: Any = {"search": list(search), "scale": scale} if search else None
    return Field(default, description=help, json_schema_extra=extra, **bounds)


def readable(model: type[BaseModel], error: ValidationError) -> str:
    """Pydantic's complaint in one line, with the names that exist."""
    problems = []
    for part in error.errors():
        field = ".".join(str(p) for p in part["loc"])
        if part["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields) or "none"
            problems.append(f"no hyper-parameter {field!r} (it has: {known})")
        else:
            problems.append(f"{field}={part['input']!r}: {part['msg'].lower()}")
    return f"{getattr(model, 'name', model.__name__)}: {'; '.join(problems)}"
