"""Vectors of the texts of new items, by the embedder that made the vectors of the training data."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from shoal.errors import DataError, HistoryError
from shoal.inference.new_items import NewItems, new_items
from shoal.run import Run
from shoal.service.live import Served

if TYPE_CHECKING:
    from shoal.text.embedder import Embedder

_KEPT_BYTES = 2**26  # of weights and attributes of new items that are kept for the next request


@dataclass(frozen=True)
class NewItem:
    """An item that the model does not have.

    Parameters
    ----------
    item : id
    text : str
        Empty to make it of the attributes, by the template of the training data.
    attributes : mapping
    """

    item: int | str
    text: str
    attributes: Mapping[str, Any]


class NewItemTexts:
    """Embeds texts of new items, and keeps what was computed of them for requests that follow.

    Parameters
    ----------
    vectors : Path
        The file that `shoal embed` wrote, with which the model was trained.
    embedder : str, optional
        The language model that made them; TF-IDF need not be named.

    Raises
    ------
    DataError
        There is no such file.
    """

    def __init__(self, vectors: Path, embedder: str | None) -> None:
        if not vectors.is_file():
            raise DataError(f"setting texts: {vectors} is no file; shoal embed writes one")
        self._vectors, self._name = vectors, embedder
        self._opened: tuple[Embedder, str] | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[NewItems, int]] = OrderedDict()
        self._bytes = 0

    def weights(self, served: Served, items: Sequence[NewItem]) -> NewItems:
        """The weights of new items in one version of the model.

        Raises
        ------
        ShoalError
            The model reads no texts or those of another embedder, the file of vectors is not
            there, a package is missing, an item has no text or is in the model already.
        """
        content = [(i.item, i.text, dict(i.attributes)) for i in items]
        text = json.dumps(content, default=str).encode()
        digest = hashlib.sha256(text).hexdigest()
        key = (
            f"{served.version} {served.checksum}",
            digest,
        )  # versions of two stores may be called the same
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept[0]
            embedder, template = self._open()
        self._check_space(served, embedder)
        texts = [i.text or _rendered(i, template) for i in items]
        matrix = embedder.embed(texts)
        told = [i.attributes for i in items]
        made = new_items(served.model, [i.item for i in items], matrix, told)
        self._keep(key, made, made.columns.nbytes + len(text))
        return made

    def _open(self) -> tuple[Embedder, str]:
        if self._opened is None:
            from shoal.text.like import embedder_like

            run = Run(threads=1)
            embedder, template, _ = embedder_like(self._vectors, self._name, "", run)
            self._opened = embedder, template
        return self._opened

    def _check_space(self, served: Served, embedder: Embedder) -> None:
        space = str(served.model.preparation.get("vector_space", ""))
        if served.model.reads_vectors and space and space != embedder.space:
            raise HistoryError(
                f"{served.version} was trained with vectors of another embedder than that of "
                f"{self._vectors.name}: name its file in the setting texts"
            )

    def _keep(self, key: tuple[str, str], made: NewItems, size: int) -> None:
        with self._lock:
            if key in self._kept or size > _KEPT_BYTES:
                return
            self._kept[key] = made, size
            self._bytes += size
            while self._bytes > _KEPT_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1][1]


def _rendered(item: NewItem, template: str) -> str:
    """The text of a new item by its attributes."""
    from shoal.text.template import parse, render

    names = [part.column for part in parse(template)] if template else []
    values = {name: item.attributes.get(name) for name in names}
    text = ""
    if any(value is not None for value in values.values()):
        text = render(pl.DataFrame([values]), template, "the new item")[0]
    if not text:
        raise HistoryError(
            f"item {item.item!r} has no text: give `text`, or the attributes of the template "
            f"{template!r}"
        )
    return text
