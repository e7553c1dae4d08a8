"""``--range``: which hyper-parameters a search tries, and with which values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoal.errors import DataError, ModelError

if TYPE_CHECKING:
    from shoal.base.ranges import Choices, Range

_FORM = "write name=low:high, name=low:high:log, or name=value,value,…"


def parse_ranges(texts: list[str] | None, model: str) -> dict[str, Range | Choices]:
    """``l2=10:1000:log`` and ``xi=0.1,0.3`` as ranges and choices of a model's hyper-parameters.

    Raises
    ------
    DataError, ModelError
        A text has another form, names a hyper-parameter twice or one that there is not, or the
        range is reversed.
    """
    from shoal.models.registry import by_name
    from shoal.policy.ranges import range_of
    from shoal.policy.yaml_files import did_you_mean

    kind = by_name(model)
    ranges: dict[str, Range | Choices] = {}
    for text in texts or []:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not name or not values:
            raise DataError(f"--range {text!r}: {_FORM}")
        if name in ranges:
            raise DataError(f"--range gives {name} twice")
        if name not in kind.model_fields:
            known = ", ".join(kind.model_fields) or "none"
            near = did_you_mean(name, tuple(kind.model_fields))
            raise ModelError(
                f"--range {name}: {kind.name} has no such hyper-parameter (it has: {known}){near}"
            )
        try:
            ranges[name] = range_of(kind, name, _values(text, values))
        except ModelError as error:
            raise ModelError(f"--range {error}") from None
    return ranges


def _values(text: str, values: str) -> Any:
    """What a policy file would say for these values."""
    if values == "auto":
        return values
    if ":" not in values:
        return [_value(part.strip()) for part in values.split(",") if part.strip()]
    low, high, *scale = (part.strip() for part in values.split(":"))
    if len(scale) > 1:
        raise DataError(f"--range {text!r}: {_FORM}")
    ends = {"min": _value(low), "max": _value(high)}
    return ends | {"scale": scale[0]} if scale else ends


def _value(text: str) -> Any:
    """A number, true or false, or else a text."""
    if text in ("true", "false"):
        return text == "true"
    for form in (int, float):
        try:
            return form(text)
        except ValueError:
            continue
    return text
