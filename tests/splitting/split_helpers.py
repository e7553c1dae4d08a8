"""Logs to be split, and what the parts of a split hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.splitting.held_out import HeldOut, Split

Pair = tuple[Any, Any]


def random_log(seed: int = 0, n_users: int = 60, n_items: int = 30, **options: Any) -> Interactions:
    """Users u0, u1, ... with 1 to 12 items, at distinct times, rows shuffled."""
    return read(random_frame(seed, n_users, n_items), **options)


def random_frame(seed: int, n_users: int, n_items: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (3 * u, f"i{i}")
        for u in range(n_users)
        for i in rng.choice(n_items, rng.integers(1, 13), replace=False)
    ]
    order, times = rng.permutation(len(rows)), rng.permutation(len(rows))
    return pl.DataFrame(
        {
            "user": [rows[k][0] for k in order],
            "item": [rows[k][1] for k in order],
            "time": [int(times[k]) for k in order],
        }
    )


def log_of(text: str, **options: Any) -> Interactions:
    """``"1ab 2c"``: user 1 has items a and b, user 2 has c."""
    rows = [(int(word[0]), item) for word in text.split() for item in word[1:]]
    return read(pl.DataFrame(rows, schema=["user", "item"], orient="row"), **options)


def in_two(log: Interactions) -> tuple[Interactions, Interactions]:
    """Cut a log as two files would be: every third interaction is for the test."""
    third = np.arange(len(log)) % 3 == 2
    return log.keep(~third).without_unused(), log.keep(third).without_unused()


def pairs(log: Interactions) -> set[Pair]:
    return set(zip(log.users.take(log.user_codes), log.items.take(log.indices), strict=True))


def users(log: Interactions) -> set[Any]:
    return set(log.users.take(np.arange(log.n_users)))


def items(log: Interactions) -> list[Any]:
    return log.items.take(np.arange(log.n_items))


def of_user(some: set[Pair], user: Any) -> set[Any]:
    return {i for u, i in some if u == user}


def folds(found: Split) -> list[HeldOut]:
    return [fold for fold in (found.validation, found.test) if fold is not None]
