"""The logs of the study: which file of each data set, how it is read, and what is cut off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

import shoal
from benchmarks.harness import data

MOST_ITEMS = 3_000  # the most popular ones stay: one inverse then takes seconds
MOST_USERS = 2_000  # of validation and of test, drawn with the seed
KINDS = ("strong", "weak")


@dataclass(frozen=True)
class Set:
    """One log of the study.

    Parameters
    ----------
    name : str
        The folder of the data set.
    files : tuple of str
        Which are put together.
    options : dict
        How they are read (`shoal.read`).
    least : int
        Interactions that a user needs, after items are cut off.
    most_users : int, optional
        So many users are drawn first, which makes the log smaller at the same density.
    """

    name: str
    files: tuple[str, ...] = ("interactions",)
    options: dict[str, Any] = field(default_factory=dict)
    least: int = 5
    most_users: int = 0

    def read(self) -> shoal.Interactions:
        """Read the log, keep its most popular items, and the users who have enough of them."""
        folder = data.folder(self.name)
        table = pl.concat([pl.read_parquet(folder / f"{file}.parquet") for file in self.files])
        log = shoal.read(table, **self.options)
        if 0 < self.most_users < log.n_users:
            drawn = np.random.default_rng(0).choice(log.n_users, self.most_users, replace=False)
            log = log.take_users(np.sort(drawn)).without_unused()
        if log.n_items > MOST_ITEMS:
            place = np.empty(log.n_items, np.int64)
            place[np.argsort(-log.item_counts, kind="stable")] = np.arange(log.n_items)
            log = log.keep(place[log.indices] < MOST_ITEMS)
        long_enough = np.flatnonzero(np.diff(log.indptr) >= self.least)
        return log.take_users(long_enough).without_unused()

    @property
    def about(self) -> str:
        """What was read, for the page."""
        said = [f"{name} {value}" for name, value in self.options.items()]
        said += [f"{self.most_users:,} users drawn first"] if self.most_users else []
        return ", ".join([*said, f"users with at least {self.least} items"])


GOOD, CORE = {"min_value": 4}, {"k_core": 5}
SETS = {
    each.name: each
    for each in (
        Set("ml-100k", options=GOOD),
        Set("ml-1m", options=GOOD),
        Set("ml-latest-small", options=GOOD),
        Set("lastfm-hetrec", options=CORE),
        Set("ifdb", ("played",), CORE),
        Set("amazon2014-games", most_users=12_000),
        Set("s3rec-beauty", most_users=12_000),
        Set("epinions", options=GOOD, most_users=8_000),
        Set("gowalla", ("train", "test"), least=10),
        Set("yelp2018", ("train", "test"), least=10, most_users=8_000),
    )
}


def split(log: shoal.Interactions, kind: Any, seed: int) -> shoal.Split:
    """Split a log, with at most `MOST_USERS` users for validation, and as many for test."""
    parts = shoal.split(log, kind, seed=seed)
    rng = np.random.default_rng(seed)
    assert parts.validation is not None
    held_out = (parts.validation, parts.test)
    few = [data.some_users(part, MOST_USERS, rng) for part in held_out]
    return replace(parts, validation=few[0], test=few[1])
