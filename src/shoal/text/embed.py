"""Texts of a table of items to vectors: the template, the embedder and the cache put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoal.data.items import item_table
from shoal.data.vector_files import ENDINGS
from shoal.data.vectors import Vectors, distinct
from shoal.errors import DataError, EmbeddingError, MemoryBudgetError
from shoal.kernels.arrays import Float
from shoal.kernels.threads import use_threads
from shoal.run import Run, human_bytes
from shoal.text.cache import VectorCache, default_folder, key_of
from shoal.text.embedder import Embedder
from shoal.text.like import embedder_like
from shoal.text.open import open_embedder
from shoal.text.template import render

# bytes for each number of float32: as it comes, in one matrix, and in the order of the ids
_BYTES_PER_NUMBER = 3 * 4


def embed(
    items: Any,
    *,
    template: str = "",
    embedder: str | Path | Embedder | None = None,
    like: str | Path | Vectors | None = None,
    item: str | None = None,
    ids: Any = None,
    cache: str | Path | None = None,
    run: Run | None = None,
) -> Vectors:
    """Turn the texts of items into vectors, one per item.

    Parameters
    ----------
    items : path or frame
        A table with one row per item, whether it is in the log or not.
    template : str
        How to write a text from the columns of a row: ``"{title}. {genres}. {description}"``.
        Where a cell is empty, its part of the text is left out.
    embedder : str, Path or Embedder
        ``tfidf`` (the default), ``sentence-transformers:NAME_OR_FOLDER``,
        ``https://HOST/v1#MODEL``, or a ``.parquet`` or ``.npy`` file with the vectors, which needs
        no template.
    like : path or Vectors, optional
        Vectors that were made before: the texts are embedded in their space, by the embedder that
        was fitted then, and with their template unless another is given. So new items get vectors
        for a model that was trained with these.
    item : str, optional
        Name of the id column, if it has no usual name.
    ids : path or frame, optional
        For a ``.npy`` file: the ids in the order of its rows, if that is not the order of `items`.
    cache : path, optional
        Folder that keeps the vectors of language models; "none" for no cache. By default it is
        in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    run : Run, optional
        Seed, device, threads, memory budget and progress.

    Returns
    -------
    Vectors
        One for each item. Items without a text get zeros; `notes` says how many there are.

    Raises
    ------
    DataError
        The table or the template cannot be used, an id is there twice, most items have no text,
        vectors are not finite or differ in length, or `like` has no embedder beside it.
    EmbeddingError
        A language model or an endpoint failed. The vectors that it gave before are in the cache.
    MissingExtraError
        The embedder needs a package that is not installed.
    MemoryBudgetError
        The vectors do not fit into the memory budget.
    """
    run = run or Run()
    notes: list[str] = []
    if like is not None:
        embedder, template, notes = embedder_like(like, embedder, template, run)
    embedder = "tfidf" if embedder is None else embedder
    if isinstance(embedder, str | Path) and Path(embedder).suffix.lower() in ENDINGS:
        if template:
            raise DataError(f"{embedder} holds vectors, which need no template: leave it out")
        return _from_file(Path(embedder), items, item, ids)
    if ids is not None:
        raise DataError("ids belong to a .npy file of vectors: leave them out")
    if not isinstance(embedder, Embedder):  # loads torch, if at all, before the table is read
        embedder = open_embedder(str(embedder), run)
    table, where = item_table(items, item)
    texts = _texts(table, template, where)
    with_text = [row for row, text in enumerate(texts) if text]
    if n_without := len(texts) - len(with_text):
        notes.append(f"{n_without:,} of {len(texts):,} items have no text: their vector is 0")
    given = [texts[row] for row in with_text]
    with use_threads(run.threads):
        if embedder.sees_all:
            fitted, vectors = _embed_together(given, embedder, run)
        else:
            fitted = embedder
            store = "none" if embedder.state() else cache  # is faster than its cache
            vectors, more_notes = _embed_in_batches(given, embedder, store, run)
            notes += more_notes
    if n_unknown := int((~vectors.any(axis=1)).sum()):
        notes.append(f"{n_unknown:,} texts hold no word that the embedder knows: their vector is 0")
    dimension = getattr(embedder, "dimension", None)
    if dimension and vectors.shape[1] != dimension:
        why = "there are no more texts or words" if embedder.sees_all else "the model gives so many"
        notes.append(f"{vectors.shape[1]:,} dimensions, not {dimension:,}: {why}")
    matrix = np.zeros((len(texts), vectors.shape[1]), np.float32)
    matrix[with_text] = vectors
    return Vectors.from_rows(
        table["item"], matrix, where, embedder.name,
        template=template, notes=tuple(notes), space=fitted.space, fitted=fitted.state(),
    )  # fmt: skip


def _texts(table: pl.DataFrame, template: str, where: str) -> list[str]:
    """A text for each row of a table of items, empty where the row has none."""
    if not template:
        raise DataError(
            "say what of an item is to be embedded with a template such as "
            f'"{{title}}. {{genres}}"; {where} has: {", ".join(table.columns)}'
        )
    distinct(table["item"], where)  # refuses ids that are there twice before the long work
    texts = render(table, template, where)
    n_without = sum(not text for text in texts)
    if 2 * n_without > len(texts):
        raise DataError(
            f"{n_without:,} of {len(texts):,} items have no text by the template {template!r}: "
            "name columns that are filled"
        )
    return texts


def _from_file(path: Path, items: Any, item: str | None, ids: Any) -> Vectors:
    """The vectors of a file, for the items of a table."""
    table, where = item_table(items, item)
    _, catalogue = distinct(table["item"], where)
    in_order_of_table = path.suffix.lower() == ".npy" and ids is None
    vectors = Vectors.read(path, table if in_order_of_table else ids)
    matrix, has_vector = vectors.onto(catalogue)
    notes = list(vectors.notes)
    if not has_vector.all():
        n_without, n = (~has_vector).sum(), len(has_vector)
        notes.append(f"{n_without:,} of {n:,} items have no vector in {path.name}: it is 0")
    return Vectors(
        catalogue, matrix, vectors.embedder, vectors.template, tuple(notes), vectors.space
    )


def _embed_together(texts: Sequence[str], embedder: Embedder, run: Run) -> tuple[Embedder, Float]:
    """Fit to all texts and embed them in one call, without a cache: (len(texts), d)."""
    what = f"{embedder.name} of {len(texts):,} texts"
    _check_budget(embedder.bytes_to_embed(len(texts)), what, run)
    with run.progress.step(f"embed: {embedder.name}") as step:
        fitted = embedder.fit(texts, step.note)
        vectors = fitted.embed(texts, step.note)
    _check(vectors, texts, None, embedder)
    return fitted, vectors


def _embed_in_batches(
    texts: Sequence[str], embedder: Embedder, cache: str | Path | None, run: Run
) -> tuple[Float, list[str]]:
    """Embed the texts that are not in the cache: (len(texts), d), and notes for a person."""
    keys = [key_of(text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))  # equal texts are embedded once
    store = _open_cache(cache, embedder.name)
    known = {} if store is None else store.read(text_of)
    notes = []
    if store is not None and store.damaged:
        notes.append(f"damaged files of the cache, thrown away: {store.damaged}")
    if known:
        notes.append(f"{len(known):,} of {len(text_of):,} different texts were in the cache")
    missing = [key for key in text_of if key not in known]
    d = next((vector.size for vector in known.values()), None)
    if d is not None:
        _check_room(len(texts), d, run)
    with run.progress.step(f"embed: {embedder.name}", len(text_of)) as step:
        step.advance(len(known))
        for start in range(0, len(missing), embedder.batch_size):
            batch = missing[start : start + embedder.batch_size]
            batch_texts = [text_of[key] for key in batch]
            try:
                vectors = embedder.embed(batch_texts, step.note)
                _check(vectors, batch_texts, d, embedder)
            except EmbeddingError as error:
                if store is None or not known:
                    raise
                raise EmbeddingError(
                    f"{error}. {len(known):,} of {len(text_of):,} texts are in the cache: the same "
                    "command continues there"
                ) from error
            if d is None:
                d = vectors.shape[1]
                _check_room(len(texts), d, run)
            if store is not None:
                store.add(batch, vectors)
            known.update(zip(batch, vectors, strict=True))
            step.advance(len(batch))
    if store is not None:
        store.join()
    return np.stack([known[key] for key in keys]), notes


def _open_cache(cache: str | Path | None, embedder_name: str) -> VectorCache | None:
    """The cache in a folder, by default the user's own; None where no cache is asked for."""
    if str(cache) == "none":
        return None
    folder = default_folder() if cache is None else Path(cache).expanduser()
    return VectorCache(folder, embedder_name)


def _check(vectors: Float, texts: Sequence[str], d: int | None, embedder: Embedder) -> None:
    """Refuse what is not a vector of d finite numbers for each text; d of None is any length."""
    if vectors.ndim != 2 or len(vectors) != len(texts) or vectors.dtype != np.float32:
        raise EmbeddingError(
            f"{embedder.name} gave {vectors.dtype} {vectors.shape} for {len(texts):,} texts, not a "
            "float32 row for each"
        )
    if d is not None and vectors.shape[1] != d:
        raise EmbeddingError(
            f"{embedder.name} gives vectors of {vectors.shape[1]:,} numbers, and before of {d:,}: "
            "another model answers under this name; take another cache folder (--cache)"
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        text = texts[int(np.argmin(finite))]
        raise EmbeddingError(
            f"{embedder.name} gave NaN or infinite numbers, first for the text {text[:60]!r}"
        )


def _check_room(n: int, d: int, run: Run) -> None:
    """Refuse n vectors of d numbers that do not fit into the memory budget."""
    _check_budget(_BYTES_PER_NUMBER * n * d, f"{n:,} vectors of {d:,} numbers", run)


def _check_budget(need: int, what: str, run: Run) -> None:
    """Refuse what needs more bytes than the memory budget."""
    if need > run.memory_budget:
        raise MemoryBudgetError(
            f"{what} take about {human_bytes(need)}, the budget is "
            f"{human_bytes(run.memory_budget)}: take fewer dimensions (--dimension), or raise the "
            "budget (--memory)"
        )
