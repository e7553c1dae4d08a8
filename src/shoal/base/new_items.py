"""New items of a model that reads vectors: which they are, and whether their vectors fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.data.ids import Ids
from shoal.data.vectors import Vectors
from shoal.errors import DataError
from shoal.kernels.arrays import Float

# Language models give the same text slightly different vectors on other processors and in other
# batches; this share of a vector's length is more than that and far less than between two spaces.
_CLOSE = 0.01
_WAY_OUT = (
    "Embed the new items as the model's own were: shoal embed NEW_ITEMS --with VECTORS, VECTORS "
    "being the file that the model was trained with (shoal.embed(…, like=VECTORS))"
)


@dataclass(frozen=True)
class NewItems:
    """The items of a file of vectors that a model does not have, and what became of the others.

    Parameters
    ----------
    ids : list
        Ids of the new items.
    matrix : (len(ids), d) float32
        Their vectors.
    n_known : int
        Number of items that the model has already.
    n_empty : int
        Number of items whose vector is zero.
    notes : tuple of str
        What a person should know.
    """

    ids: list[Any]
    matrix: Float
    n_known: int
    n_empty: int
    notes: tuple[str, ...] = ()


def find_new_items(
    items: Ids,
    own: Float,
    scaled: Callable[[Float], Float],
    space: str,
    vectors: Vectors,
    where: str,
) -> NewItems:
    """Choose the items that a model does not have, if their vectors are of the model's space.

    That is so if the items which the model has already have the model's vectors there, or if both
    name the same space.

    Parameters
    ----------
    items : (n,) Ids
        The model's items.
    own : (n, d) float32
        The model's vectors of them.
    scaled : callable
        Scales vectors as the model's own are.
    space : str
        Space of the model's vectors (`Vectors.space`); empty if it is not known.
    vectors : Vectors
    where : str
        Name of the file of vectors, for error messages.

    Raises
    ------
    DataError
        There is no new item, vectors have another length than the model's, or are of another space.
    """
    codes = items.match(vectors.ids)
    known = codes >= 0
    new = vectors.there & ~known
    n_known, n_empty = int(known.sum()), int((~vectors.there).sum())
    if not new.any():
        raise DataError(
            f"{where} has no new item: {n_known:,} of its {len(vectors):,} items are in the model, "
            f"and {n_empty:,} have a vector of zeros"
        )
    if vectors.dimension != own.shape[1]:
        raise DataError(
            f"{where}: the new vectors have {vectors.dimension} numbers, those of the model "
            f"{own.shape[1]}: they are of another embedder. {_WAY_OUT}"
        )
    both = np.flatnonzero(known & vectors.there)
    both = both[own[codes[both]].any(axis=1)]
    theirs, ours = scaled(vectors.matrix[both]), own[codes[both]]
    distance = np.linalg.norm((theirs - ours).astype(np.float64), axis=1)
    other = both[distance > _CLOSE * np.linalg.norm(ours.astype(np.float64), axis=1)]
    same_space = bool(space) and vectors.space == space
    notes: tuple[str, ...] = ()
    if other.size and (not same_space or 2 * other.size > both.size):
        first = vectors.ids.take(other[:1])[0]
        raise DataError(
            f"{where}: the vectors are not of the model's space: {other.size:,} of the "
            f"{both.size:,} items that the model has already have other vectors there, the first "
            f"is {first!r} (another embedder or template, or TF-IDF that was fitted anew). "
            f"{_WAY_OUT}. Items of which only the text has changed can be left out of the file"
        )
    if other.size:
        notes = (
            f"{other.size:,} known items have other vectors than in the model, which keeps its "
            "own: their texts have changed",
        )
    if not both.size and not same_space:
        if space and vectors.space:
            raise DataError(
                f"{where}: the vectors are of another space than the model's ({vectors.space}, not "
                f"{space}). {_WAY_OUT}"
            )
        notes = (
            "none of the items is in the model, so that nothing shows whether the vectors are of "
            "its space: they must be of the embedder that made the model's vectors",
        )
    rows = np.flatnonzero(new)
    return NewItems(vectors.ids.take(rows), vectors.matrix[rows], n_known, n_empty, notes)
