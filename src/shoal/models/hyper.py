"""How a model declares a hyper-parameter."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field


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
