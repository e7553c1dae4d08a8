"""Any file of text as a stream of bytes: plain, packed, in an archive, or from a pipe."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from shoal.data.limits import LONGEST_LINE, PIECE, check_unpacked
from shoal.errors import DataError
from shoal.run import human_bytes

STANDARD_INPUT = "-"

PACKED = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".zip")  # endings of packed files

_MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_FAULTS = (
    *(OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError),
    *(zipfile.BadZipFile, pl.exceptions.PolarsError),
)


def is_stream(path: Path) -> bool:
    """Whether a path is the standard input, a pipe or a device, which can be read only once."""
    name = str(path)
    if name == STANDARD_INPUT or name.startswith(("/dev/stdin", "/dev/fd/", "/proc/self/fd/")):
        return True
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except (OSError, ValueError):  # no path at all, which is said where it is opened
        return False


def spool(path: Path) -> Any:
    """Copy a pipe or the standard input into a temporary file, which lives as long as it is held.

    Returns
    -------
    file : NamedTemporaryFile

    Raises
    ------
    DataError
        Nothing arrived, or more than the folder of temporary files has room for.
    """
    label = stream_name(path)
    try:
        file = tempfile.NamedTemporaryFile(prefix="shoal-")  # noqa: SIM115 - lives with its source
        room = int(0.9 * shutil.disk_usage(file.name).free)
        if str(path) == STANDARD_INPUT and sys.stdin is None:
            raise DataError("the standard input is closed: name a file to read")
        stream = sys.stdin.buffer if str(path) == STANDARD_INPUT else path.open("rb")
        try:
            size = 0
            while piece := stream.read(1 << 20):
                size += len(piece)
                if size > room:
                    raise DataError(
                        f"{label} holds more than {human_bytes(room)}, which is what "
                        f"{tempfile.gettempdir()} has room for: write it to a file, or set TMPDIR"
                    )
                file.write(piece)
        finally:
            if str(path) != STANDARD_INPUT:
                stream.close()
        file.flush()
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{label} cannot be read: {error}") from error
    if not size:
        raise DataError(f"{label} is empty: nothing arrived before it was closed")
    return file


def stream_name(path: Path) -> str:
    """Name of a pipe or the standard input, for error messages."""
    return "the standard input" if str(path) in (STANDARD_INPUT, "/dev/stdin") else str(path)


def packing(path: Path) -> str:
    """How a file is packed, by its first bytes: one of `PACKED`, or "" for a plain file."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(_ZIP):
        return ".zip"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")


def unpacked(path: Path) -> Iterator[bytes]:
    """The content of a file piece by piece, unpacked.

    Raises
    ------
    DataError
        It cannot be unpacked, is an archive of several files or encrypted, or unpacks to far more
        than a log would.
    """
    try:
        kind = packing(path)
        ending = path.suffix.lower()
        if not kind and ending in PACKED and ending != ".lzma":
            name = "gzipped" if ending == ".gz" else ending
            raise DataError(f"{path} cannot be read: Not a {name} file, as its name says")
        if kind == ".zst":
            yield from _lines_of_zst(path)
            return
        packed, total = path.stat().st_size, 0
        with _opened(path, kind or (ending if ending == ".lzma" else "")) as file:
            while piece := file.read(PIECE):
                total += len(piece)
                if kind:
                    check_unpacked(path, packed, total)
                yield piece
    except _FAULTS as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read: {error or type(error).__name__}") from error


def whole_lines(path: Path) -> Iterator[tuple[bytes, int, bool]]:
    """The content of a text file in pieces that end with a line end.

    Yields
    ------
    text : bytes
        UTF-8 without a byte order mark; the last line of the file gets a line end, too.
    line : int
        Number of its first line, counted from 1.
    last : bool
        Whether it is the last piece.

    Raises
    ------
    DataError
        See `unpacked`; or it holds zero bytes, or a line that no log has.
    """
    rest, line, start = b"", 1, True
    for piece in unpacked(path):
        if b"\0" in piece:
            raise DataError(f"{path} is not UTF-8 text (it holds zero bytes): save it as UTF-8")
        text = rest + piece
        if start:
            text, start = text.removeprefix(b"\xef\xbb\xbf"), False
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if len(rest) > LONGEST_LINE:
            n = line + text.count(b"\n")
            raise DataError(
                f"{path}: line {n} has more than {human_bytes(LONGEST_LINE)}: is this a log?"
            )
        if end:
            yield text[:end], line, False
            line += text.count(b"\n", 0, end)
    yield (rest + b"\n" if rest else b""), line, True


def first_lines(path: Path, size: int = 1 << 18, most: int = 1000) -> list[str]:
    """The first lines of a text file, without blank ones below the first."""
    lines: list[bytes] = []
    total = 0
    for text, _, _ in whole_lines(path):
        total += len(text)
        lines += text.split(b"\n", most + 1)[:most]
        if total >= size or len(lines) >= most:
            break
    decoded = [line.decode("utf-8", "replace").rstrip("\r") for line in lines[:most]]
    return decoded[:1] + [line for line in decoded[1:] if line.strip()]


def _opened(path: Path, kind: str) -> Any:
    if kind == ".gz":
        return gzip.open(path, "rb")
    if kind == ".bz2":
        return bz2.open(path, "rb")
    if kind in (".xz", ".lzma"):
        return lzma.open(path, "rb")
    if kind == ".zip":
        archive = zipfile.ZipFile(path)
        return archive.open(_member(path, archive))
    return path.open("rb")


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of an archive."""
    members = [
        m
        for m in archive.infolist()
        if not m.is_dir() and not m.filename.startswith("__MACOSX/") and m.file_size
    ]
    if len(members) != 1:
        names = ", ".join(m.filename for m in members[:5]) or "nothing"
        raise DataError(
            f"{path} holds {len(members)} files ({names}{', …' if len(members) > 5 else ''}), "
            "and a log is one: unpack it and name the file"
        )
    if members[0].flag_bits & 1:
        raise DataError(
            f"{path} is encrypted: unpack it with its password, and name the unpacked file"
        )
    check_unpacked(path, path.stat().st_size, members[0].file_size)
    return members[0]


def member_name(path: Path) -> str:
    """Name of the one file in a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(path, archive).filename
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as a zip archive: {error}") from error


def _lines_of_zst(path: Path) -> Iterator[bytes]:
    """Zstandard is unpacked by polars, which gives lines."""
    packed, total = path.stat().st_size, 0
    for batch in pl.scan_lines(path, glob=False).collect_batches(
        chunk_size=100_000, maintain_order=True, engine="streaming"
    ):
        piece = "".join(f"{line}\n" for line in batch["line"].to_list()).encode()
        total += len(piece)
        check_unpacked(path, packed, total)
        yield piece
