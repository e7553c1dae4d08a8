"""Settings drawn at random, all of them before the first fit; this needs no other package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shoal.base.ranges import Choices, Space, declared
from shoal.base.recommender import Recommender
from shoal.errors import ModelError


def draw_from(
    space: Space, trials: int, seed: int, fixed: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Draw settings from a space.

    Parameters
    ----------
    space : mapping of name to Range or Choices
    trials : int
        Number of settings; the first ones are `fixed` alone, so a model's defaults.
    seed : int
    fixed : mapping
        Hyper-parameters that have the same value in all settings.

    Returns
    -------
    list of dict
        One setting only, if nothing is left to draw.
    """
    rng = np.random.default_rng(seed)
    drawn = [dict(fixed)]
    while len(drawn) < trials and space:
        settings = dict(fixed)
        for name, values in space.items():
            position = rng.random()  # in the range, from 0 to 1
            if isinstance(values, Choices):
                settings[name] = values.values[int(position * len(values.values))]
            else:
                settings[name] = values.at(position)
        drawn.append(settings)
    return drawn


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
    drawn = draw_from(space, trials, seed, fixed)
    return [{n: v for n, v in settings.items() if n in names} for settings in drawn]
