"""What the measurements of the service share: a log, fitted models, histories, expected lists.

    python benchmarks/serving/catalogue.py            # about 5 minutes, once; 3.5 GB
    python benchmarks/serving/catalogue.py --short    # a small one, for trying the scripts

All of it is kept in benchmarks/.cache/serving/ and made only where it is missing. The log is
synthetic: it is good for measuring time and memory, and its lists say nothing about real data.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import shoal
from shoal.models.registry import create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.data import CACHE
from benchmarks.serving.load import checksum

HISTORY, K = 20, 10
GENRES = ("Action", "Comedy", "Crime", "Drama", "Family", "Horror", "Romance", "Thriller")


@dataclass(frozen=True)
class Shape:
    """Size of the log, and how many histories are asked about."""

    n_users: int
    n_items: int
    n_interactions: int
    n_histories: int


SHAPES = {
    "full": Shape(60_000, 20_000, 3_000_000, 2_000),
    "short": Shape(3_000, 600, 60_000, 100),
}
# Name of each fitted model; what it is, and the hyper-parameters. Several of a kind, so that there
# are versions to swap whose lists differ.
MODELS: dict[str, tuple[str, dict[str, Any], int]] = {
    "ease": ("ease", {"l2": 300.0}, 0),
    "ease-2": ("ease", {"l2": 100.0}, 0),
    "elsa": ("elsa", {"factors": 512, "n_epochs": 1}, 0),
    "elsa-2": ("elsa", {"factors": 512, "n_epochs": 1}, 1),
    "elsa-3": ("elsa", {"factors": 512, "n_epochs": 1}, 2),
}


class Catalogue:
    """The files of one shape, made where they are missing.

    Parameters
    ----------
    name : {"full", "short"}
        Of the shape.
    """

    def __init__(self, name: str) -> None:
        self.shape = SHAPES[name]
        self.folder = CACHE / "serving" / name
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def log_path(self) -> Path:
        """The log as Parquet: ``user`` and ``item``, both text."""
        path = self.folder / "log.parquet"
        if not path.exists():
            s = self.shape
            drawn = self.folder / "drawn.parquet"
            drawn.unlink(missing_ok=True)
            shoal.generate(drawn, s.n_users, s.n_items, s.n_interactions)
            frame = pl.read_parquet(drawn).select(
                pl.format("u{}", pl.col("user").cast(pl.String).str.zfill(6)).alias("user"),
                pl.format("i{}", pl.col("item").cast(pl.String).str.zfill(6)).alias("item"),
            )
            frame.write_parquet(path)
            drawn.unlink()
        return path

    @property
    def items_path(self) -> Path:
        """The table of items, with what filters and boosts read."""
        path = self.folder / "items.parquet"
        if not path.exists():
            n, rng = self.shape.n_items, np.random.default_rng(0)
            pairs = rng.integers(0, len(GENRES), (n, 2))
            table = {
                "item": [f"i{i:06d}" for i in range(n)],
                "title": [f"Title {i}" for i in range(n)],
                "year": rng.integers(1950, 2026, n),
                "genres": ["|".join(sorted({GENRES[a], GENRES[b]})) for a, b in pairs],
                "price": np.round(rng.uniform(1, 60, n), 2),
                "in_stock": rng.random(n) < 0.8,
            }
            pl.DataFrame(table).write_parquet(path)
        return path

    def log(self) -> shoal.Interactions:
        """The log with its table of items."""
        return shoal.read(self.log_path, items=self.items_path)

    def model(self, name: str) -> Path:
        """The folder of a fitted model."""
        path = self.folder / name
        if not path.exists():
            kind, settings, seed = MODELS[name]
            model = create(kind, settings).fit(self.log(), run=shoal.Run(seed=seed))
            shoal.save(model, path)
            print(f"fitted {name}", flush=True)
        return path

    def histories(self) -> list[list[str]]:
        """Histories of exactly 20 items: of so many users, each at random."""
        path = self.folder / "histories.json"
        if not path.exists():
            log, rng = self.log(), np.random.default_rng(1)
            enough = np.flatnonzero(np.diff(log.indptr) >= HISTORY)
            users = rng.choice(enough, self.shape.n_histories, replace=False)
            X = log.matrix
            rows = [X.indices[X.indptr[u] : X.indptr[u + 1]] for u in users]
            lists = [log.items.take(rng.choice(row, HISTORY, replace=False)) for row in rows]
            path.write_text(json.dumps(lists))
        found: list[list[str]] = json.loads(path.read_text())
        return found

    def lists(self, name: str) -> list[list[tuple[str, float]]]:
        """The top-10 of each history by a model, computed in this process, without a service."""
        path = self.folder / f"lists-{name}.json"
        if not path.exists():
            model = shoal.load(self.model(name))
            one = shoal.Run(threads=1)  # as in the service, so that scores have the same bits
            answers = [shoal.recommend(model, h, k=K, run=one) for h in self.histories()]
            rows = [[(r.item, float(r.score)) for r in answer] for answer in answers]
            path.write_text(json.dumps(rows))
        return [[(item, score) for item, score in row] for row in json.loads(path.read_text())]

    def checksums(self, name: str) -> list[str]:
        """One for the list of each history: what the client compares an answer with."""
        return [checksum(row) for row in self.lists(name)]


def post(path: str, body: Mapping[str, Any], headers: Sequence[str] = ()) -> dict[str, Any]:
    """A request as the load generator reads it."""
    return {"method": "POST", "path": path, "body": dict(body), "headers": list(headers)}


def recommendations(
    histories: list[list[str]], path: str = "/v1/recommend"
) -> list[dict[str, Any]]:
    """One request for each history."""
    return [post(path, {"history": history, "k": K}) for history in histories]


def main() -> None:
    """Make all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    catalogue = Catalogue("short" if parser.parse_args().short else "full")
    for name in MODELS:
        catalogue.model(name)
        catalogue.lists(name)


if __name__ == "__main__":
    main()
