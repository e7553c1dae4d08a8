"""Finished cells of a run: each is on the disk at once, and what is damaged is measured again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from shoal.datasets.download import file_hash
from shoal.errors import ArtifactError, ShoalError
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.runs.folder import CELLS, PER_USER, RunFolder, safe_name
from shoal.files import write_table

DATA, SEED, MODEL = "data", "seed", "model"  # columns of per_user.parquet before the user


def save_cell(folder: RunFolder, data: str, cell: Cell) -> None:
    """Write a cell: its values per user first, then its JSON, which says that it is finished."""
    name = safe_name(data, cell.seed, cell.label)
    table = _table(folder, name)
    table.parent.mkdir(parents=True, exist_ok=True)
    write_table(cell.per_user_frame(), table)
    content = {DATA: data, "per_user_sha256": file_hash(table), "cell": cell.to_dict()}
    folder.write_json(f"{CELLS}/{name}.json", content)


def load_cell(folder: RunFolder, data: str, seed: int, label: str) -> Cell | None:
    """Read a finished cell; None where it has not been finished.

    Raises
    ------
    ArtifactError
        One of its two files is damaged: it must be measured again.
    """
    name = safe_name(data, seed, label)
    if not (folder.path / CELLS / f"{name}.json").is_file():
        return None
    content = folder.read_json(f"{CELLS}/{name}.json")
    table = _table(folder, name)
    try:
        if content["per_user_sha256"] != file_hash(table):
            raise ArtifactError(f"{table} is damaged: its sha256 is not that of the run")
        cell = Cell.from_dict(content["cell"], pl.read_parquet(table))
    except (OSError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        if isinstance(error, ShoalError):
            raise
        raise ArtifactError(f"{folder.path / CELLS / name}.json is damaged") from None
    if (content[DATA], cell.seed, cell.label) != (data, seed, label):
        raise ArtifactError(f"{folder.path / CELLS / name}.json is that of another model")
    return cell


def write_per_user(folder: RunFolder, cells: Sequence[tuple[str, Cell]]) -> None:
    """Write ``per_user.parquet``: data, seed, model, user, length of history, and the metrics.

    Users become texts where the data sets have ids of different kinds.

    Parameters
    ----------
    folder : RunFolder
    cells : sequence of (name of the data set, Cell)
    """
    if not cells:
        return
    frames = []
    for data, cell in cells:
        names = {DATA: data, SEED: cell.seed, MODEL: cell.label}
        columns = [pl.lit(value).alias(name) for name, value in names.items()]
        frames.append(cell.per_user_frame().select(*columns, pl.all()))
    if len({frame.schema["user"] for frame in frames}) > 1:
        frames = [frame.with_columns(pl.col("user").cast(pl.String)) for frame in frames]
    write_table(pl.concat(frames, how="diagonal"), folder.path / PER_USER)


def _table(folder: RunFolder, name: str) -> Path:
    return folder.path / CELLS / f"{name}.parquet"
