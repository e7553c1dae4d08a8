"""Where a search looks: the ranges of hyper-parameters that are given, or that a model declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.base.ranges import Choices, Range, Space, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.policy.yaml_files import did_you_mean


def space_of(
    kind: type[Recommender],
    given: Mapping[str, Range | Choices] | None,
    fixed: Mapping[str, Any],
) -> Space:
    """The hyper-parameters to search, with their ranges.

    Parameters
    ----------
    kind : class of a model
    given : mapping of name to Range or Choices, optional
        Without it, all ranges that the model declares for hyper-parameters that are not `fixed`.
    fixed : mapping
        Hyper-parameters that have one value.

    Raises
    ------
    ModelError
        The model has no such hyper-parameter; one is fixed and searched; an end of a range or a
        choice is not valid for it.
    """
    if given is None:
        space: Space = {n: r for n, r in declared(kind).items() if n not in fixed}
    else:
        space = dict(given)
    for name, values in space.items():
        # retriever.factors is a hyper-parameter of a part; the model itself refuses a wrong one
        if name.partition(".")[0] not in kind.model_fields:
            known = tuple(kind.model_fields)
            raise ModelError(
                f"{kind.name} has no hyper-parameter {name} (it has: "
                f"{', '.join(known) or 'none'}){did_you_mean(name, known)}"
            )
        if name in fixed:
            raise ModelError(
                f"{kind.name}: {name} is fixed at {fixed[name]} and to be searched: leave one out"
            )
        ends = values.values if isinstance(values, Choices) else (values.at(0), values.at(1))
        for end in ends:
            kind(**{**fixed, name: end})  # refuses a value that is not valid
        field = kind.model_fields.get(name)
        if isinstance(values, Range) and field is not None and field.annotation is int:
            space[name] = Range(values.low, values.high, values.scale, whole=True)
    return space


def within_catalogue(space: Space, n_items: int) -> Space:
    """The same space, where the number of factors ends at the number of items."""
    factors = space.get("factors")
    if not isinstance(factors, Range) or factors.high <= n_items:
        return space
    low = min(factors.low, n_items)
    return space | {"factors": Range(low, n_items, factors.scale, factors.whole)}


def contains(values: Range | Choices, value: Any) -> bool:
    """Whether a value is in a range or among the choices."""
    if isinstance(values, Choices):
        return value in values.values
    return bool(values.low <= value <= values.high)


def told(space: Space) -> dict[str, str]:
    """A space in short texts, for messages and to compare one with another."""
    texts = {}
    for name, values in sorted(space.items()):
        if isinstance(values, Choices):
            texts[name] = ", ".join(map(repr, values.values))
        else:
            scale = " log" if values.scale == "log" else ""
            texts[name] = f"{values.low:g} to {values.high:g}{scale}"
    return texts
