"""Events as a file that `shoal.read` reads: CSV, JSON lines or Parquet, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from shoal._version import __version__
from shoal.data.lazy import lazy_frame
from shoal.errors import ArtifactError, ShoalError
from shoal.events.store import EventStore
from shoal.files import MARK, check_table, replacing

ENDINGS = (".csv", ".jsonl", ".parquet")


def export_events(
    store: EventStore, path: str | Path, *, since: object = None, until: object = None
) -> int:
    """Write events to a file; the memory that this takes does not grow with their number.

    Parameters
    ----------
    store : EventStore
    path : str or Path
        The ending says the format: .csv, .jsonl or .parquet.
    since, until : float, datetime or ISO date, optional
        Events with since ≤ time < until.

    Returns
    -------
    int
        How many events were written.

    Raises
    ------
    ArtifactError
        Another ending, a folder that is not there, a disk that refuses.
    EventsUnavailable
        The database cannot be read.
    """
    path = check_table(path, ENDINGS)
    pages = store.pages(since=since, until=until)
    first = next(pages)
    n_rows, failed = 0, []

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal n_rows
        page: pl.DataFrame | None = first
        while page is not None:
            n_rows += len(page)
            yield page
            try:
                page = next(pages, None)
            except ShoalError as error:  # polars would only say that its source failed
                failed.append(error)
                raise

    rows = lazy_frame(frames, first.schema)
    try:
        with replacing(path) as unfinished:
            if path.suffix == ".csv":
                rows.sink_csv(unfinished)
            elif path.suffix == ".jsonl":
                rows.sink_ndjson(unfinished)
            else:
                rows.sink_parquet(unfinished, metadata={MARK: __version__})
    except (OSError, pl.exceptions.PolarsError) as error:
        if failed:
            raise failed[0] from None
        raise ArtifactError(f"{path} could not be written ({error})") from error
    return n_rows
