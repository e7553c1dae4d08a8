"""Invented logs of the form of the public data sets: columns, values, times, items, splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from shoal.experiments.files.parts import DataPart

USERS, ITEMS = 300, 120
_WORDS = ("harbour", "orchard", "signal", "winter", "copper", "meadow", "lantern", "river")


def write_log_like(part: DataPart, folder: Path, seed: int = 0) -> Path:
    """Write tables as `shoal data fetch` does for a data set of an experiment file.

    Readers and items are in two circles, so that there is something to learn. Where the file asks
    for items with hundreds of users, the items are fewer and the histories longer.
    """
    rng = np.random.default_rng(seed)
    dense = max(part.read.min_item_users, part.read.k_core) > 10
    n_items, length = (110, (72, 95)) if dense else (ITEMS, (12, 30))
    rows = []
    for user in range(450 if dense else USERS):
        own = np.arange(n_items) % 2 == user % 2
        weight = np.where(own, 4.0, 1.0) / (1 + np.arange(n_items) / (n_items if dense else 20))
        chosen = rng.choice(n_items, rng.integers(*length), replace=False, p=weight / weight.sum())
        rows += [(user, int(item), place) for place, item in enumerate(chosen)]
    log = pl.DataFrame(rows, ["user", "item", "place"], orient="row")
    folder.mkdir(parents=True)
    public = part.public or ""
    if part.is_split or part.joined:
        is_test = pl.col("place") % 5 == 4
        for name, rows_of in (("train", ~is_test), ("test", is_test)):
            log.filter(rows_of).select("user", "item").write_parquet(folder / f"{name}.parquet")
        return folder
    if public.startswith("amazon2023"):
        log = log.with_columns(pl.format("A{}", "user").alias("user"))
        log = log.with_columns(pl.format("B{}", "item").alias("item"))
    if public == "msd":
        log = log.with_columns(pl.format("u{}", "user").alias("user"), plays=pl.lit(2))
    else:
        stars = rng.choice([3.0, 4.0, 5.0], log.height, p=[0.1, 0.5, 0.4])
        log = log.with_columns(rating=pl.Series(stars).cast(pl.Float32))
    if public not in ("msd", "goodbooks-10k"):
        log = log.with_columns(timestamp=1_000_000_000 + 86_400 * pl.col("place"))
    log.drop("place").write_parquet(folder / "interactions.parquet")
    _write_items(public, n_items, folder, rng)
    return folder


def _write_items(public: str, n_items: int, folder: Path, rng: np.random.Generator) -> None:
    """Titles and what else there is of items, in the publisher's form."""
    titles = [" ".join(rng.choice(_WORDS, 2)) + f" {item}" for item in range(n_items)]
    if public.startswith("amazon2023"):
        pl.DataFrame(
            {
                "parent_asin": [f"B{item}" for item in range(n_items)],
                "title": titles,
                "store": [_WORDS[item % 3] for item in range(n_items)],
                "categories": [["Goods", _WORDS[item % 2]] for item in range(n_items)],
            }
        ).write_ndjson(folder / "items.jsonl")
    elif public.startswith("ml-"):
        genres = [("Drama" if item % 2 else "Comedy") for item in range(n_items)]
        pl.DataFrame(
            {"item": list(range(n_items)), "title": titles, "genres": genres}
        ).write_parquet(folder / "items.parquet")
