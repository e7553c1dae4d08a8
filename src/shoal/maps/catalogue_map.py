"""The map that a service shows of a model's catalogue: as JSON, and kept in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import DataError
from shoal.kernels.arrays import Double
from shoal.maps.colouring import telling_colourings
from shoal.maps.drawing import drawing
from shoal.maps.item_map import ITEMS, NEAR, PERPLEXITY, item_map
from shoal.run import Run

ATTRIBUTES = 8  # colourings by attributes at most
CANDIDATES = 20_000  # items whose scores are compared at most, so that a map takes 160 MB
LONGEST = 120  # letters of a title or a value
LARGEST_FILE = 2**24  # bytes; the largest map has less than a quarter of them
_FORMAT = 1  # changes with what the script expects
_FEWEST = 7  # items of a map, for a perplexity of 2


@dataclass(frozen=True)
class CatalogueMap:
    """A map as it is sent to browsers and kept in a file.

    Parameters
    ----------
    content : bytes
        JSON: what `shoal.maps.drawing` makes, with how far the map can be trusted.
    """

    content: bytes

    @cached_property
    def _members(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(self.content)
        return members

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self._members["ids"])}

    @cached_property
    def _xy(self) -> Double:
        return np.array(self._members["panels"][0]["xy"], np.float64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._members["ids"])

    def __contains__(self, item: Any) -> bool:
        return str(item) in self._positions

    def nearest(self, item: Any, k: int = NEAR) -> list[tuple[str, str]]:
        """The ids and titles of the items that lie nearest to one, the nearest first."""
        here = self._positions[str(item)]
        far = ((self._xy - self._xy[here]) ** 2).sum(axis=1)
        far[here] = np.inf
        order = np.argsort(far, kind="stable")[: min(k, len(far) - 1)].tolist()
        return [(self._members["ids"][n], self._members["titles"][n]) for n in order]


def make_catalogue_map(model: Recommender, checksum: str, run: Run) -> CatalogueMap:
    """Lay the most popular items of a model out, and colour them by all attributes that tell.

    Parameters
    ----------
    model : Recommender
    checksum : str
        Of the model's arrays, by which `read_catalogue_map` knows the map of this model.
    run : Run

    Raises
    ------
    ShoalError
        As of `shoal.item_map`; above all `MissingExtraError` without openTSNE, and `DataError` for
        a model that has too few items or answers alike to every history.
    """
    n_known = int(model.known_items.sum())
    if n_known < _FEWEST:
        raise DataError(f"{n_known} items are too few for a map: it needs {_FEWEST}")
    perplexity = min(PERPLEXITY, (min(n_known, ITEMS) - 1) // 3)
    n_clusters = min(8, n_known // _FEWEST)
    made = item_map(
        model,
        perplexity=perplexity,
        n_clusters=n_clusters,
        members=False,
        candidates=CANDIDATES,
        run=run,
    )
    table = model.item_table[model.items.lookup(made.items)]
    members = {
        "format": _FORMAT,
        "checksum": checksum,
        **drawing(made, telling_colourings(table, ATTRIBUTES), LONGEST),
        "n_catalogue": made.n_catalogue,
        "kept": made.panels[0].kept,
        "notes": list(made.notes),
    }
    text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return CatalogueMap(text.encode("utf-8", "replace"))


def read_catalogue_map(path: Path, checksum: str) -> CatalogueMap | None:
    """A map that was kept; None if there is none, or it is broken or of another model."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            return None
        members = json.loads(content)
        n = len(members["ids"])
        known = (
            (members["format"], members["checksum"]) == (_FORMAT, checksum)
            and len(members["titles"]) == n
            and len(members["panels"][0]["xy"]) == 2 * n
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return CatalogueMap(content) if known else None
