"""Where the data of the studies are: real data sets, and what is made once and kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

import shoal
from shoal.splitting.held_out import HeldOut

BENCHMARKS = Path(__file__).resolve().parents[1]
CACHE = BENCHMARKS / ".cache"


def folder(name: str) -> Path:
    """Folder of a real data set, in the folder that the environment variable SHOAL_DATA names."""
    root = os.environ.get("SHOAL_DATA")
    if not root:
        raise SystemExit(f"set SHOAL_DATA to the folder that holds {name}/")
    return Path(root) / name


def ml_1m() -> shoal.Split:
    """MovieLens-1M as several studies share it: strong generalisation, rating ≥ 4, seed 0."""
    path = folder("ml-1m") / "interactions.parquet"
    return shoal.split(shoal.read(path, min_value=4, min_user_items=5), "strong", seed=0)


def lightgcn(name: str, validation: float = 0.0) -> shoal.Split:
    """Gowalla or Yelp2018 in the split of the LightGCN paper.

    A share of each user's training items, drawn with seed 0, is the validation part.
    """
    parts = [shoal.read(folder(name) / f"{part}.parquet") for part in ("train", "test")]
    return shoal.split_given(*parts, validation=validation, seed=0)


def some_users(held_out: HeldOut, most: int, rng: np.random.Generator) -> HeldOut:
    """At most so many of the users that are held out, in their order."""
    if held_out.n_users <= most:
        return held_out
    users = np.sort(rng.choice(held_out.n_users, most, replace=False))
    history, target = (log.take_users(users) for log in (held_out.history, held_out.target))
    return replace(held_out, history=history, target=target)
