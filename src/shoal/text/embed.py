"""Texts of a table of items to vectors: the template, the embedder and the cache put together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shoal.data.items import item_table
from shoal.data.vector_files import ENDINGS
from shoal.data.vectors import Vectors, distinct
from shoal.errors import DataError, EmbeddingError, MemoryBudgetError
from shoal.kernels.arrays import Float
from shoal.kernels.threads import use_threads
from shoal.run import Run, human_bytes
from shoal.text.cache import VectorCache, default_folder, key_of
from shoal.text.embedder import Embedder
from shoal.text.open import open_embedder
from shoal.text.template import render

_ROOM = 3 * 4  # bytes per number: the vectors as they come, stacked, and in the order of the ids


def embed(
    items: Any,
    *,
    template: str = "",
    embedder: str | Path | Embedder = "tfidf",
    item: str | None = None,
    ids: Any = None,
    cache: str | Path | None = None,
    run: Run | None = None,
) -> Vectors:
    """Turn the texts of items into vectors, one per item.

    Parameters
    ----------
    items : path or frame
        One row per item, whether it is in the log or not.
    template : str
        ``"{title}. {genres}. {description}"``: a text from the columns of a row. What is missing
        in a row leaves its part out.
    embedder : str, Path or Embedder
        ``tfidf``, ``sentence-transformers:NAME_OR_FOLDER``, ``https://HOST/v1#MODEL``, or a
        ``.parquet`` or ``.npy`` file with the vectors, which needs no template.
    item : str, optional
        The id column, if it has no usual name.
    ids : path or frame, optional
        For a ``.npy`` file: the ids in its order, if it is not that of `items`.
    cache : path, optional
        Folder for the vectors of language models; "none" for no cache. Default: below
        ``$XDG_CACHE_HOME`` or ``~/.cache``.
    run : Run, optional
        Seed, device, threads, memory, progress.

    Returns
    -------
    Vectors
        For all items. Those without a text get zeros, and are counted in its notes.

    Raises
    ------
    DataError
        The table or the template cannot be used, an id is there twice, most items have no text,
        or vectors are not finite or differ in length.
    EmbeddingError
        A model or an endpoint failed; what it gave before is in the cache.
    MissingExtraError, MemoryBudgetError
    """
    run = run or Run()
    if isinstance(embedder, str | Path) and Path(embedder).suffix.lower() in ENDINGS:
        if template:
            raise DataError(f"{embedder} holds vectors, which need no template: leave it out")
        return _given(Path(embedder), items, item, ids)
    if ids is not None:
        raise DataError("ids belong to a .npy file of vectors: leave them out")
    if not isinstance(embedder, Embedder):  # loads torch, if at all, before the table is read
        embedder = open_embedder(str(embedder), run)
    table, where = item_table(items, item)
    if not template:
        raise DataError(
            "say what of an item is to be embedded with a template such as "
            f'"{{title}}. {{genres}}"; {where} has: {", ".join(table.columns)}'
        )
    distinct(table["item"], where)  # before what takes long
    texts = render(table, template, where)
    full = [at for at, text in enumerate(texts) if text]
    without = len(texts) - len(full)
    if 2 * without > len(texts):
        raise DataError(
            f"{without:,} of {len(texts):,} items have no text by the template {template!r}: name "
            "columns that are filled"
        )
    notes = [f"{without:,} of {len(texts):,} items have no text: their vector is 0"] * (without > 0)
    with use_threads(run.threads):
        found, more = _embed([texts[at] for at in full], embedder, cache, run)
    wanted = getattr(embedder, "dimension", None)
    if wanted and found.shape[1] != wanted:
        why = "there are no more texts or words" if embedder.sees_all else "the model gives so many"
        more.append(f"{found.shape[1]:,} dimensions, not {wanted:,}: {why}")
    matrix = np.zeros((len(texts), found.shape[1]), np.float32)
    matrix[full] = found
    return Vectors.from_rows(
        table["item"], matrix, where, embedder.name, template=template, notes=(*notes, *more)
    )


def _given(path: Path, items: Any, item: str | None, ids: Any) -> Vectors:
    """Vectors from a file, for the items of a table."""
    table, where = item_table(items, item)
    _, catalogue = distinct(table["item"], where)
    npy = path.suffix.lower() == ".npy"
    vectors = Vectors.read(path, table if npy and ids is None else ids)
    matrix, there = vectors.onto(catalogue)
    notes = list(vectors.notes)
    if not there.all():
        notes.append(
            f"{(~there).sum():,} of {len(there):,} items have no vector in {path.name}: it is 0"
        )
    return Vectors(catalogue, matrix, vectors.embedder, vectors.template, tuple(notes))


def _embed(
    texts: Sequence[str], embedder: Embedder, cache: str | Path | None, run: Run
) -> tuple[Float, list[str]]:
    """(len(texts), d) and what is to be said about it."""
    label = f"embed: {embedder.name}"
    if embedder.sees_all:
        _within(
            embedder.bytes_to_embed(len(texts)), f"{embedder.name} of {len(texts):,} texts", run
        )
        with run.progress.step(label) as step:
            vectors = embedder.embed(texts, step.note)
            _check(vectors, texts, None, embedder)
            return vectors, []
    keys = [key_of(text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))  # equal texts once
    store = None
    if str(cache) != "none":
        folder = default_folder() if cache is None else Path(cache).expanduser()
        store = VectorCache(folder, embedder.name)
    known = {} if store is None else store.read(text_of)
    notes = []
    if store is not None and store.damaged:
        notes.append(f"damaged files of the cache, thrown away: {store.damaged}")
    if known:
        notes.append(f"{len(known):,} of {len(text_of):,} different texts were in the cache")
    missing = [key for key in text_of if key not in known]
    d = next((v.size for v in known.values()), None)
    if d is not None:
        _within(_ROOM * len(texts) * d, f"{len(texts):,} vectors of {d:,} numbers", run)
    with run.progress.step(label, len(text_of)) as step:
        step.advance(len(known))
        for start in range(0, len(missing), embedder.batch_size):
            batch = missing[start : start + embedder.batch_size]
            asked = [text_of[key] for key in batch]
            try:
                vectors = embedder.embed(asked, step.note)
                _check(vectors, asked, d, embedder)
            except EmbeddingError as error:
                if store is None or not known:
                    raise
                raise EmbeddingError(
                    f"{error}. {len(known):,} of {len(text_of):,} texts are in the cache: the same "
                    "command continues there"
                ) from error
            if d is None:
                d = vectors.shape[1]
                _within(_ROOM * len(texts) * d, f"{len(texts):,} vectors of {d:,} numbers", run)
            if store is not None:
                store.add(batch, vectors)
            known.update(zip(batch, vectors, strict=True))
            step.advance(len(batch))
    if store is not None:
        store.join()
    return np.stack([known[key] for key in keys]), notes


def _check(vectors: Float, texts: Sequence[str], d: int | None, embedder: Embedder) -> None:
    """Whether an embedder gave a vector of d finite numbers for each text."""
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


def _within(need: int, what: str, run: Run) -> None:
    if need > run.memory_budget:
        raise MemoryBudgetError(
            f"{what} take about {human_bytes(need)}, the budget is "
            f"{human_bytes(run.memory_budget)}: take fewer dimensions (--dimension), or raise the "
            "budget (--memory)"
        )
