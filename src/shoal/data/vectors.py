"""`Vectors`: one vector per item, with the ids that they belong to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.data.align import checked_matrix, placed
from shoal.data.embedder_files import check_beside, write_embedder
from shoal.data.ids import Ids, encode
from shoal.data.vector_files import PREFIX, VERSION, read_about, read_rows
from shoal.errors import DataError
from shoal.files import replacing
from shoal.kernels.arrays import Bool, Float, Int, State


@dataclass(frozen=True, eq=False, repr=False)
class Vectors:
    """Vectors of items, as an embedder made them: nothing is centred or normalised here.

    Parameters
    ----------
    ids : Ids
        Item ids in ascending order.
    matrix : (len(ids), d) float32
        A row of zeros is an item without a vector (it had no text).
    embedder : str
        Name and settings of what made the vectors.
    template : str
        Template of the texts that the vectors were made of.
    notes : tuple of str
        What a person should know about the vectors.
    space : str
        What vectors that may be compared have in common: name, settings and, where an embedder was
        fitted to texts, a hash of what it learned. Empty if nothing is known of it.
    fitted : dict of arrays
        Arrays of the embedder that was fitted to the texts, if there is one; `write` keeps them
        beside the vectors for ``embed(…, like=FILE)``. `read` does not read them.

    Raises
    ------
    DataError
        NaN or infinite numbers, vectors without numbers, or not as many as ids.
    """

    ids: Ids
    matrix: Float
    embedder: str
    template: str = ""
    notes: tuple[str, ...] = ()
    space: str = ""
    fitted: State = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.matrix.dtype != np.float32:
            raise DataError(f"vectors are a matrix of float32, not of {self.matrix.dtype}")
        checked_matrix(self.ids, self.matrix)

    @staticmethod
    def from_rows(
        items: pl.Series, matrix: NDArray[Any], where: str, embedder: str, **about: Any
    ) -> Vectors:
        """Sort vectors by the ids of their items.

        Parameters
        ----------
        items : (n,) Series
            Ids in any order.
        matrix : (n, d) of numbers
        where : str
            Name of the table or file that holds the ids, for error messages.
        embedder : str
            Name and settings of what made the vectors.
        **about
            `template`, `notes`, `space` and `fitted`, as for `Vectors`.

        Raises
        ------
        DataError
            An id is missing or there twice, or a vector cannot be used.
        """
        if len(items) != len(matrix):
            raise DataError(f"{where}: {len(items):,} ids and {len(matrix):,} vectors")
        codes, ids = distinct(items, where)
        with np.errstate(over="ignore"):  # a float64 too large becomes infinite, which is refused
            rows = np.ascontiguousarray(matrix[np.argsort(codes)], np.float32)
        return Vectors(ids, rows, embedder, **about)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Vectors({len(self):,} items × {self.dimension:,}, {self.embedder})"

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.matrix.shape[1])

    @property
    def there(self) -> Bool:
        """Whether each item has a vector other than zeros, (n,)."""
        return np.asarray(self.matrix.any(axis=1))

    def onto(self, items: Ids) -> tuple[Float, Bool]:
        """Put the vectors in the order of a catalogue.

        Returns
        -------
        matrix : (len(items), d) float32
            Zeros for items without a vector.
        there : (len(items),) bool
            Whether each item has a vector other than zeros.

        Raises
        ------
        DataError
            None of the items has a vector other than zeros.
        """
        matrix = placed(self.matrix, items.match(self.ids), len(items))
        there = np.asarray(matrix.any(axis=1))
        if not there.any():
            raise DataError(
                f"none of {items!r} has a vector; there are vectors of {self.ids!r}: do both come "
                "from the same catalogue?"
            )
        return matrix, there

    def fingerprint(self) -> str:
        """sha256 of the ids and the numbers, in hexadecimal."""
        digest = hashlib.sha256(f"{self.ids.kind} {self.matrix.shape}\n".encode())
        for item in self.ids.series.cast(pl.String):
            digest.update(f"{item}\0".encode())
        digest.update(np.ascontiguousarray(self.matrix, "<f4").data)
        return digest.hexdigest()

    def write(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a Parquet file: ``item``, ``vector``, and in its metadata what made the vectors.

        An embedder that was fitted to the texts is written beside it, as
        ``<name>.embedder.safetensors``.

        Parameters
        ----------
        path : str or Path
        overwrite : bool
            Replace a file even if shoal did not write it.

        Raises
        ------
        DataError
            The name does not end in ``.parquet``, the folder is not there, or the file exists and
            holds something else than vectors that shoal wrote.
        OSError
            The disk refuses.
        """
        path = check_target(path, overwrite=overwrite)
        kind = pl.Array(pl.Float32, self.dimension)
        frame = pl.DataFrame(
            {"item": self.ids.series, "vector": pl.Series(self.matrix, dtype=kind)}
        )
        about = {
            "version": VERSION,
            "embedder": self.embedder,
            "template": self.template,
            "dimension": str(self.dimension),
            "ids": self.ids.kind,
            "sha256": self.fingerprint(),
            "space": self.space,
        }
        if self.fitted:
            write_embedder(path, self.embedder, self.fitted)
        with replacing(path) as unfinished:
            frame.write_parquet(
                unfinished, metadata={PREFIX + name: text for name, text in about.items()}
            )
        return path

    @staticmethod
    def read(path: str | Path, ids: Any = None) -> Vectors:
        """Read vectors: what `write` wrote, and other people's Parquet or ``.npy`` files.

        Parameters
        ----------
        path : str or Path
            Parquet with the item's id and one column of lists, or columns of floats; or ``.npy``
            with a matrix.
        ids : path or frame, optional
            For ``.npy``: a table of items, or a text file with an id in each line, in the order of
            the rows.

        Raises
        ------
        DataError
            The file cannot be read, its vectors differ in length or hold NaN, an id is there
            twice, or the ids are not as many as the vectors.
        """
        rows = read_rows(Path(path), ids)
        vectors = Vectors.from_rows(
            rows.items, rows.matrix, rows.where, rows.embedder,
            template=rows.template, notes=rows.notes, space=rows.space,
        )  # fmt: skip
        if rows.id_kind == "uuid":
            vectors = replace(vectors, ids=Ids(vectors.ids.series, "uuid"))
        if rows.sha256 not in ("", vectors.fingerprint()):
            raise DataError(f"{path} was altered after it was written: make it again")
        return vectors


def distinct(items: pl.Series, where: str) -> tuple[Int, Ids]:
    """Number the ids of a table in which each item has one row.

    Raises
    ------
    DataError
        An id is missing or there twice, or the table is empty.
    """
    if items.null_count():
        raise DataError(f"{where}: {items.null_count():,} rows have no id")
    if len(items) == 0:
        raise DataError(f"{where} has no row")
    codes, ids = encode(items, f"the id column of {where}")
    if len(ids) < len(codes):
        counts = np.bincount(codes)
        twice = ids.take([int(np.argmax(counts > 1))])[0]
        raise DataError(
            f"{where}: {(counts > 1).sum():,} ids have several rows, the first is {twice!r}: keep "
            "one of each"
        )
    return codes, ids


def check_target(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check before long work whether `Vectors.write` would refuse a name.

    Raises
    ------
    DataError
        The name does not end in ``.parquet``, is a folder, or its folder is not there; or shoal
        did not write what is there, and `overwrite` is off.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".pq"):
        raise DataError(f"{path}: vectors are written as Parquet, name it …{path.stem}.parquet")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise DataError(f"{path} is a folder: name a file")
    check_beside(path)
    if path.exists() and not overwrite and not _written_by_shoal(path):
        raise DataError(
            f"{path} exists and holds no vectors that shoal wrote: name another file, or replace "
            "it with --overwrite"
        )
    return path


def _written_by_shoal(path: Path) -> bool:
    try:
        return "sha256" in read_about(path)
    except DataError:
        return False
