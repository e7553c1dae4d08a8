"""Settings drawn at random, all of them before the first fit; this needs no other package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from shoal.base.ranges import Choices, Space, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError


def draws(
    space: Space, seed: int, fixed: Mapping[str, Any], n_items: int | None = None
) -> Iterator[dict[str, Any]]:
    """Draw settings from a space, one after the other.

    Parameters
    ----------
    space : mapping of name to Range or Choices
    seed : int
    fixed : mapping
        Hyper-parameters that have the same value in all settings.
    n_items : int, optional
        The most factors that a model may have.

    Yields
    ------
    dict
        The first one is `fixed` alone, so a model's defaults. One only, if nothing is left to draw.
    """
    rng = np.random.default_rng(seed)
    yield dict(fixed)
    while space:
        settings = dict(fixed)
        for name, values in space.items():
            position = rng.random()  # in the range, from 0 to 1
            if isinstance(values, Choices):
                settings[name] = values.values[int(position * len(values.values))]
            else:
                settings[name] = values.at(position)
            if name == "factors" and n_items is not None:
                settings[name] = min(settings[name], n_items)
        yield settings


def draw(
    model: type[Recommender],
    trials: int,
    seed: int,
    fixed: Mapping[str, Any],
    only: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Draw settings at random from the ranges that a model declares.

    Parameters
    ----------
    model : class
    trials : int
        Number of settings; the first ones are the defaults.
    seed : int
    fixed : mapping
        Hyper-parameters that have the same value in all settings.
    only : list of str, optional
        Names of the hyper-parameters to draw; the others keep their defaults.

    Returns
    -------
    list of dict
        Hyper-parameters by name. One setting only, if nothing is left to draw.

    Raises
    ------
    ModelError
        The model declares no range for a name in `only`.
    """
    space: Space = {n: r for n, r in declared(model).items() if n not in fixed}
    unknown = set(only or ()) - set(space)
    if unknown:
        raise ModelError(f"{model.name} declares no range for {', '.join(sorted(unknown))}")
    names = set(space if only is None else only) | set(fixed)
    # a number is drawn for unused names too, so that the values of the others stay the same
    drawn = islice(draws(space, seed, fixed), trials)
    return [{n: v for n, v in settings.items() if n in names} for settings in drawn]
