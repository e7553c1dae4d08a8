"""Files behind URLs such as s3://bucket/folder, through fsspec.

The address and the keys of a service come from where fsspec and the service's own tools take them:
``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``~/.aws``, ``~/.config/fsspec`` and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from polars.io.plugins import register_io_source

from shoal.errors import DataError, MissingExtraError, first_line

ROWS = 100_000  # of a piece
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.+)", re.DOTALL)
_AS_ASKED = {"cache_type": "none"}  # pyarrow knows which bytes it needs
_MARKS = ("ETag", "etag", "md5Hash", "content_md5")  # hashes of files, as services list them
_PACKAGES = {"s3": "shoal[s3]", "s3a": "shoal[s3]", "gs": "gcsfs", "gcs": "gcsfs"}
_PACKAGES |= {"abfs": "adlfs", "az": "adlfs", "abfss": "adlfs"}


class Found(NamedTuple):
    """A file behind a URL, its bytes, and what the service says of its content (a hash)."""

    url: str
    n_bytes: int
    mark: str = ""


def as_url(path: Any) -> str | None:
    """A path as a URL, if it is one; ``Path("s3://a/b")`` has lost a slash, which it gets back."""
    if not isinstance(path, str | Path):
        return None
    found = _URL.fullmatch(str(path))
    if found is None:
        return None
    scheme = found[1].lower()
    return f"{scheme}://{'/' * (scheme == 'file')}{found[2]}"


def files_behind(url: str) -> list[Found]:
    """The files of a folder behind a URL, or the file itself; those in folders of it are left out.

    Raises
    ------
    DataError
        There is nothing, or the service refuses.
    MissingExtraError
        A package is not installed.
    """
    with _explained(url):
        system, path = _opened(url)
        system.invalidate_cache()
        listed = system.ls(path, detail=True)
    scheme = url.partition("://")[0]
    files = [entry for entry in listed if entry["type"] == "file" and entry["size"] is not None]
    return sorted(
        Found(
            f"{scheme}://{str(entry['name']).lstrip('/')}",
            int(entry["size"]),
            next((str(entry[name]) for name in _MARKS if entry.get(name)), ""),
        )
        for entry in files
        if str(entry["name"]).rstrip("/") != path.rstrip("/") or len(listed) == 1
    )


def folders_behind(url: str) -> list[str]:
    """The names of the folders in a folder behind a URL that was listed before."""
    with _explained(url):
        system, path = _opened(url)
        listed = system.ls(path, detail=True)
    folders = [str(entry["name"]).rstrip("/") for entry in listed if entry["type"] == "directory"]
    return sorted(name.rpartition("/")[2] for name in folders if name != path.rstrip("/"))


def read_bytes(url: str) -> bytes:
    """All bytes of a small file."""
    with _explained(url):
        system, path = _opened(url)
        content: bytes = system.cat_file(path)
        return content


def look_at(url: str) -> tuple[pl.Schema, int, int]:
    """Columns, number of rows and bytes of a Parquet file."""
    with _explained(url):
        system, path = _opened(url)
        with system.open(path, "rb", **_AS_ASKED) as file:
            parquet = _parquet().ParquetFile(file)
            empty = pl.DataFrame(pl.from_arrow(parquet.schema_arrow.empty_table()))
            n_rows = int(parquet.metadata.num_rows)
        return empty.schema, n_rows, int(system.size(path))


def scan_remote(urls: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
    """The rows of Parquet files, of which only the columns in use are fetched, some at a time."""

    def batches(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        for url in urls:
            for frame in _pieces(url, columns or list(schema), size or ROWS):
                part = frame
                if n_rows is not None:
                    part = part.head(n_rows)
                    n_rows -= len(part)
                yield part if predicate is None else part.filter(predicate)
                if n_rows == 0:
                    return

    return register_io_source(batches, schema=schema)


def _pieces(url: str, columns: list[str], size: int) -> Iterator[pl.DataFrame]:
    """The rows of a file, some at a time."""
    with _explained(url):
        system, path = _opened(url)
        with system.open(path, "rb", **_AS_ASKED) as file:
            parquet = _parquet().ParquetFile(file, pre_buffer=True)
            for batch in parquet.iter_batches(batch_size=size, columns=columns):
                yield pl.DataFrame(pl.from_arrow(batch)).select(columns)


class RemoteFolder:
    """A folder behind a URL that is written to.

    Parameters
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        with _explained(self.url):
            self._system, self._path = _opened(self.url)

    def names(self) -> list[str]:
        """The names of the files; none if there is no folder."""
        with _explained(self.url):
            self._system.invalidate_cache()
            try:
                listed = self._system.ls(self._path, detail=False)
            except FileNotFoundError:
                return []
        return [str(entry).rstrip("/").rpartition("/")[2] for entry in listed]

    def read(self, name: str) -> bytes | None:
        """All bytes of a file; None if there is none."""
        with _explained(f"{self.url}/{name}"):
            try:
                content: bytes = self._system.cat_file(f"{self._path}/{name}")
            except FileNotFoundError:
                return None
            return content

    def size(self, name: str) -> int:
        """The bytes of a file; -1 if there is none."""
        with _explained(f"{self.url}/{name}"):
            self._system.invalidate_cache()
            try:
                return int(self._system.size(f"{self._path}/{name}"))
            except FileNotFoundError:
                return -1

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one that is there."""
        with _explained(f"{self.url}/{name}", "written"):
            self._system.pipe_file(f"{self._path}/{name}", content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with _explained(f"{self.url}/{name}", "removed"):
            self._system.invalidate_cache()
            with suppress(FileNotFoundError):
                self._system.rm_file(f"{self._path}/{name}")


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError(f"{url} needs fsspec: pip install {_package(url)}") from None
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError(
            f"{url} needs another package: pip install {_package(url)} ({error})"
        ) from None
    return system, str(path)


def _package(url: str) -> str:
    scheme = url.partition("://")[0]
    return _PACKAGES.get(scheme, f"the fsspec package for {scheme}://")


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError(
            "reading Parquet from a URL needs pyarrow: pip install pyarrow"
        ) from None
    return parquet


@contextmanager
def _explained(url: str, act: str = "read") -> Iterator[None]:
    """Turn what a service or a damaged file causes into an error that names the URL."""
    try:
        yield
    except (DataError, MissingExtraError):
        raise
    except FileNotFoundError:
        raise DataError(f"{url}: no such file or folder") from None
    except PermissionError as error:
        raise DataError(f"{url}: the service refuses to show it ({first_line(error)})") from error
    except Exception as error:  # of the package that speaks to the service; there are many
        raise DataError(f"{url} cannot be {act}: {first_line(error)}") from error
