"""Settings drawn at random; this needs no other package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shoal.base.ranges import Choices, Space


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
