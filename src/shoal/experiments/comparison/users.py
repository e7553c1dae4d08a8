"""Values of users over several seeds: each user counts once, however often they are tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from shoal.evaluation.significance import Paired, of_differences
from shoal.experiments.comparison.cell import Cell
from shoal.kernels.arrays import Double, Int


@dataclass(frozen=True)
class UserValues:
    """The values of one metric by seed and user.

    Parameters
    ----------
    frame : polars DataFrame
        Columns seed, user, value; without the users that the metric does not count.
    """

    frame: pl.DataFrame

    @classmethod
    def of(cls, cells: Sequence[Cell], metric: str) -> UserValues:
        """The values of the cells of one model."""
        frames = [
            pl.DataFrame(
                {
                    "seed": pl.repeat(cell.seed, len(cell.evaluation.users), eager=True),
                    "user": cell.evaluation.users.series,
                    "value": cell.evaluation.per_user[metric],
                }
            )
            for cell in cells
        ]
        return cls(pl.concat(frames).filter(pl.col("value").is_not_nan()))

    @property
    def means(self) -> Double:
        """The mean of each user over the seeds in which they were tested, in the order of ids."""
        return _means(self.frame)

    def minus(self, other: UserValues) -> Double:
        """Differences of users, each the mean over the seeds in which both have a value."""
        both = self.frame.join(other.frame, on=["seed", "user"], suffix="_other")
        return _means(both.with_columns(value=pl.col("value") - pl.col("value_other")))


def _means(frame: pl.DataFrame) -> Double:
    means = frame.group_by("user").agg(pl.col("value").mean()).sort("user")
    return means["value"].to_numpy()


def paired_over_seeds(a: Sequence[Cell], b: Sequence[Cell], metric: str) -> Paired:
    """Paired t-test over distinct users: the mean of a − b of each user over common seeds.

    Parameters
    ----------
    a, b : sequence of Cell
        The cells of two models.
    metric : str
        One with values per user.
    """
    return of_differences(UserValues.of(a, metric).minus(UserValues.of(b, metric)))


def user_numbers(cells: Sequence[Cell]) -> Int:
    """A number for the user of each value of each cell, one cell after the other."""
    users = pl.concat([cell.evaluation.users.series for cell in cells])
    return users.rank("dense").to_numpy().astype(np.int32) - 1
