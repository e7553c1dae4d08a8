"""Read files in zip, tar and gzip archives as streams; a damaged archive is named in the error."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from shoal.errors import DataError
from shoal.run import Progress, human_bytes
from shoal.web import printable

BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError),  # the latter: a compression that zipfile does not know
)


class Readable(Protocol):
    """A stream that bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes; none at the end."""
        ...


_CHUNK = 1 << 20  # bytes that are read at a time
_BLOCK = 1 << 24  # bytes of text that are parsed at a time
_RATIO, _SMALL = 100, 1 << 26  # logs shrink to a tenth; bytes that any archive may unpack to


class Bounded:
    """A stream out of an archive that ends in an error if it gives far more than logs do.

    Parameters
    ----------
    file : Readable
    archive : Path
        Its size on the disk bounds what may come out of it.
    before : int
        Number of bytes that came out of it before.
    """

    def __init__(self, file: Readable, archive: Path, before: int = 0) -> None:
        self._file, self._archive, self.n_bytes = file, archive, before
        self._limit = _RATIO * archive.stat().st_size + _SMALL

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes; none at the end."""
        piece = self._file.read(size)
        self.n_bytes += len(piece)
        if self.n_bytes > self._limit:
            raise too_large(self._archive, self._limit)
        return piece


def extract(archive: Path, name: str, folder: Path, progress: Progress) -> Path:
    """Unpack the zip member whose base name is `name` to `folder` / `name`.

    Raises
    ------
    DataError
        The archive is damaged, or holds no such member.
    """
    target = folder / name
    try:
        with zipfile.ZipFile(archive) as packed:
            member = _member(packed, name, archive)
            free = shutil.disk_usage(folder).free
            if member.file_size > free:
                raise DataError(
                    f"{archive}: {name} takes {human_bytes(member.file_size)}, and the disk of "
                    f"{folder} has {human_bytes(free)} free: free some space"
                )
            with packed.open(member) as file:
                bounded = Bounded(file, archive)
                save(bounded, target, member.file_size, f"unpack {name}", progress)
    except BROKEN as error:
        raise damaged(archive, error) from error
    return target


def read_member(archive: Path, name: str) -> bytes:
    """Read a small zip member, found by its base name.

    Raises
    ------
    DataError
        The archive is damaged, or holds no such member.
    """
    try:
        with (
            zipfile.ZipFile(archive) as packed,
            packed.open(_member(packed, name, archive)) as file,
        ):
            return b"".join(iter(partial(Bounded(file, archive).read, _CHUNK), b""))
    except BROKEN as error:
        raise damaged(archive, error) from error


def save(file: Readable, target: Path, total: int | None, label: str, progress: Progress) -> None:
    """Copy a stream to a file, counting bytes."""
    with target.open("wb") as out, progress.step(label, total) as step:
        while chunk := file.read(_CHUNK):
            out.write(chunk)
            step.advance(len(chunk))


def numbered_lines(text: bytes, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    # Not str.splitlines: titles may hold the other characters that it takes for line ends.
    for number, line in enumerate(text.decode(encoding).split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def texts(source: Path, *patterns: str) -> Iterator[bytes]:
    """Yield the contents of all files of a folder, zip or tar whose names match, piece by piece.

    Files of a folder or zip come in the order of their names, and each ends with a line end.
    A ``training_set.tar`` inside is looked into.
    """

    def matches(path: str) -> bool:
        return any(fnmatchcase(PurePosixPath(path).name, pattern) for pattern in patterns)

    if source.is_dir():
        for path in sorted(path for path in source.rglob("*") if matches(path.name)):
            with path.open("rb") as file:
                yield from _pieces(file)
        for path in sorted(source.rglob("training_set.tar")):
            yield from texts(path, *patterns)
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            n_bytes = 0
            for name in sorted(name for name in archive.namelist() if matches(name)):
                with archive.open(_readable(archive.getinfo(name), source)) as member:
                    bounded = Bounded(member, source, n_bytes)
                    yield from _pieces(bounded)
                    n_bytes = bounded.n_bytes
    else:
        with _unpacked_tar(source) as tar:
            yield from _tar_texts(tar, matches)


def blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join and cut pieces of text into long blocks of whole lines."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= _BLOCK and (end := buffer.rfind(b"\n") + 1):
            yield bytes(buffer[:end])
            del buffer[:end]
    if buffer:
        yield bytes(buffer)


def damaged(path: Path, error: BaseException) -> DataError:
    """The error that says that an archive cannot be read, and what to do."""
    return DataError(
        f"{path}: the file is damaged or cut short ({printable(error)}); delete it and run the "
        "same command again."
    )


def too_large(archive: Path, limit: int) -> DataError:
    """The error that says that an archive holds more than any log of its size could."""
    return DataError(
        f"{archive}: unpacked it is larger than {human_bytes(limit)}, {_RATIO} times its size: no "
        "log is like that. Unpack it yourself if you trust it, or fetch it again"
    )


def _readable(info: zipfile.ZipInfo, archive: Path | str) -> zipfile.ZipInfo:
    """The member itself, if it can be read: not encrypted, and packed in a known way.

    Raises
    ------
    DataError
        It cannot.
    """
    if info.flag_bits & 1:
        raise DataError(
            f"{archive}: {printable(info.filename)} in it is encrypted: unpack it with its "
            "password, and give the folder"
        )
    if info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    ):
        raise DataError(
            f"{archive}: {printable(info.filename)} in it is packed by method "
            f"{info.compress_type}, which Python cannot read: unpack it yourself, and give the "
            "folder"
        )
    return info


@contextmanager
def _unpacked_tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """A tar, packed or not, that is read from its beginning to its end within bounds."""
    with archive.open("rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        file: Any = raw
        for magic, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\x00", lzma)):
            if head.startswith(magic):
                file = module.open(raw)
        try:
            with tarfile.open(fileobj=Bounded(file, archive), mode="r|") as tar:  # type: ignore[call-overload]
                yield tar
        except OSError as error:
            if error.errno is None:  # bz2 has no error of its own
                raise damaged(archive, error) from error
            raise


def _member(packed: zipfile.ZipFile, name: str, archive: Path) -> zipfile.ZipInfo:
    """The member of a zip with this base name, the one in the fewest folders."""
    members = [info for info in packed.infolist() if PurePosixPath(info.filename).name == name]
    if not members:
        inside = printable(", ".join(packed.namelist()[:10])) or "nothing"
        raise DataError(
            f"{archive}: no {name} in it (there is {inside}); delete it and run the same command "
            "again."
        )
    return _readable(min(members, key=lambda info: info.filename.count("/")), archive)


def _tar_texts(tar: tarfile.TarFile, matches: Callable[[str], bool]) -> Iterator[bytes]:
    """The contents of the files in a tar whose names match, and of a training set inside."""
    for member in tar:
        whole = member.isfile() and not member.issparse()  # holes would be zeros without end
        file = tar.extractfile(member) if whole else None
        if file is None:
            continue
        if matches(member.name):
            yield from _pieces(file)
        elif member.name.endswith("training_set.tar"):
            with tarfile.open(fileobj=file, mode="r|") as inner:
                yield from _tar_texts(inner, matches)


def _pieces(file: Readable) -> Iterator[bytes]:
    """The content of a file piece by piece, ended by a line end."""
    last = b"\n"
    while piece := file.read(_CHUNK):
        yield piece
        last = piece[-1:]
    if last != b"\n":
        yield b"\n"
