"""The mult-vae protocol beside the published recipe, written anew in pandas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.splitting.split import split

from .split_helpers import Pair, pairs, random_frame


def liang(log: pd.DataFrame, n_held: int) -> dict[str, set[Pair]]:
    """Liang et al. 2018, step by step; `log` has columns user and item, in file order."""
    # as their notebook does, sorted unique ids, then one permutation
    ids = np.array(sorted(log["user"].unique()), dtype=object)
    generator = np.random.RandomState(98765)
    ids = ids[generator.permutation(ids.size)]
    groups = {
        "train": ids[: ids.size - 2 * n_held],
        "validation": ids[ids.size - 2 * n_held : ids.size - n_held],
        "test": ids[ids.size - n_held :],
    }
    train = log[log["user"].isin(groups["train"])]
    vocabulary = set(train["item"].unique())
    found = {"train": set(train[["user", "item"]].itertuples(index=False, name=None))}
    for name in ("validation", "test"):
        generator = np.random.RandomState(98765)
        plays = log[log["user"].isin(groups[name]) & log["item"].isin(vocabulary)]
        history, target = set(), set()
        for user, group in plays.groupby("user", sort=True):
            played = group["item"].tolist()
            held = np.zeros(len(played), dtype=bool)
            if len(played) >= 5:
                held[generator.choice(len(played), size=int(0.2 * len(played)), replace=False)] = (
                    True
                )
            target |= {(user, i) for i, h in zip(played, held, strict=True) if h}
            history |= {(user, i) for i, h in zip(played, held, strict=True) if not h}
        evaluated = {u for u, _ in target}
        found[f"{name} history"] = {p for p in history if p[0] in evaluated}
        found[f"{name} target"] = target
        found[f"{name} dropped"] = {(u, None) for u in set(groups[name]) - evaluated}
    return found


def assert_as_published(log: Interactions, published: dict[str, set[Pair]], n_held: int) -> None:
    found = split(log, "strong", test=n_held, protocol="mult-vae")
    assert found.validation is not None
    assert pairs(found.train) == published["train"]
    for name, fold in (("validation", found.validation), ("test", found.test)):
        assert pairs(fold.history) == published[f"{name} history"]
        assert pairs(fold.target) == published[f"{name} target"]
        assert fold.dropped == len(published[f"{name} dropped"])


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("text", [False, True])
def test_mult_vae_in_the_order_of_the_file(seed: int, text: bool) -> None:
    frame = random_frame(seed, 90, 40)
    if text:  # whose order is not that of the numbers
        frame = frame.cast({"user": pl.String})
    log = read(frame, file_order=True)
    assert_as_published(log, liang(frame.to_pandas(), 20), 20)


@pytest.mark.parametrize("seed", [0, 1])
def test_mult_vae_in_canonical_order(seed: int) -> None:
    frame = random_frame(seed, 90, 40)
    in_order = frame.sort("user", "item")
    assert_as_published(read(frame), liang(in_order.to_pandas(), 20), 20)
    shuffled = liang(frame.to_pandas(), 20)
    with pytest.raises(AssertionError):  # the order does matter
        assert_as_published(read(frame), shuffled, 20)


def test_mult_vae_on_movielens_1m(shoal_data: Callable[[str], Path]) -> None:
    path = shoal_data("ml-1m") / "interactions.parquet"
    log = read(path, min_value=4, min_user_items=5, file_order=True)
    frame = pd.read_parquet(path)
    frame = frame[frame["rating"] > 3.5]
    frame = frame[frame.groupby("user")["item"].transform("size") >= 5]
    assert_as_published(log, liang(frame[["user", "item"]], 500), 500)
