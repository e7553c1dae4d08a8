"""Ranges of hyper-parameters in which a tuner searches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from shoal.base.recommender import Recommender
from shoal.errors import ModelError

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both of them included.

    Parameters
    ----------
    low, high : float
    scale : {"linear", "log"}
        Whether values are drawn uniformly, or uniformly in the logarithm.
    whole : bool
        Whether only whole numbers are meant.
    """

    low: float
    high: float
    scale: Scale = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ModelError(f"the range {self.low} to {self.high} has an end that is no number")
        if self.low > self.high:
            raise ModelError(
                f"the range {self.low:g} to {self.high:g} is reversed: write the lower end first"
            )
        if self.scale == "log" and self.low <= 0:
            raise ModelError(
                f"the range {self.low:g} to {self.high:g} cannot be searched on a logarithmic "
                "scale: begin above 0, or take the linear scale"
            )

    def at(self, position: float) -> float | int:
        """The value at a position from 0 (low) to 1 (high), to three digits."""
        if self.scale == "log":
            value = self.low * (self.high / self.low) ** position
        else:
            value = self.low + (self.high - self.low) * position
        return round(value) if self.whole else self.near(value)

    def near(self, value: float) -> float:
        """The value to three digits, or the end that it lies beyond."""
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Choices:
    """A few values, of which one is taken.

    Parameters
    ----------
    values : tuple
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ModelError("a list of values to choose from is empty: name one at least")


Space = dict[str, Range | Choices]


def declared(kind: type[Recommender]) -> dict[str, Range]:
    """The ranges that a model declares, by hyper-parameter.

    Parameters
    ----------
    kind : class of a model

    Returns
    -------
    dict of str to Range
    """
    ranges = {}
    for name, field in kind.model_fields.items():
        extra: Any = field.json_schema_extra or {}
        if "search" in extra:
            low, high = extra["search"]
            ranges[name] = Range(
                float(low), float(high), extra["scale"], whole=field.annotation is int
            )
    return ranges
