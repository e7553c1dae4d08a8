"""A folder that is opened once and read as it was then, also if another one takes its place."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from shoal.errors import ArtifactError

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | os.O_CLOEXEC


class ReplacedError(Exception):
    """Another folder took the place of this one while its files were opened: open it again."""


class OpenFolder:
    """A folder by its handle; files are opened within it, whatever its path names by then.

    Parameters
    ----------
    path : Path
        The folder, which may be a symbolic link; files within may not.

    Raises
    ------
    FileNotFoundError
        There is no such path.
    ArtifactError
        It is no folder, or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except NotADirectoryError:
            raise ArtifactError(f"{path} is a file, and no model folder") from None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} is no folder that can be read: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def is_current(self) -> bool:
        """Whether the path still names this folder."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def open(self, name: str) -> tuple[FileIO, int] | None:
        """Open a file of the folder for reading.

        Parameters
        ----------
        name : str

        Returns
        -------
        file, number of bytes
            None if the folder holds no such file.

        Raises
        ------
        ArtifactError
            It is not a file (a folder, a pipe, a device, a symbolic link), or may not be read.
        ReplacedError
            The folder was replaced and its files removed meanwhile.
        """
        try:
            descriptor = os.open(name, os.O_RDONLY | _NO_LINKS, dir_fd=self._descriptor)
        except FileNotFoundError:
            if not self.is_current():
                raise ReplacedError from None
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                what = "a symbolic link: copy the file itself into the folder"
                raise ArtifactError(f"{self.path / name} is {what}") from None
            if error.errno == errno.ESTALE:  # a network file system whose file was removed
                raise ReplacedError from None
            if error.errno == errno.ENXIO:
                raise ArtifactError(f"{self.path / name} is not a regular file") from None
            raise ArtifactError(f"{self.path / name} cannot be read: {error}") from None
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "not a regular file"
            raise ArtifactError(f"{self.path / name} is {kind}: copy the whole folder again")
        return FileIO(descriptor, "rb"), about.st_size

    def read(self, name: str, most: int) -> bytes | None:
        """Read a whole file of at most `most` bytes; None if the folder holds no such file.

        Raises
        ------
        ArtifactError
            As of `open`, or the file is longer.
        """
        opened = self.open(name)
        if opened is None:
            return None
        file, size = opened
        with file:
            if size > most:
                raise ArtifactError(
                    f"{self.path / name} has {size:,} bytes, and such files have at most {most:,}"
                )
            return read_whole(file, size, self.path / name)


def read_whole(file: FileIO, size: int, path: Path) -> bytes:
    """Read `size` bytes from an open file.

    Raises
    ------
    ArtifactError
        The file ends before, or cannot be read.
    """
    try:
        data = bytearray(size)
        read_into(file, memoryview(data))
    except EOFError:
        raise ArtifactError(f"{path} is truncated: it ended while it was read") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from None
    return bytes(data)


def read_into(file: FileIO, buffer: memoryview) -> None:
    """Fill a buffer from an open file.

    Raises
    ------
    EOFError
        The file ends before.
    OSError
    """
    begin = 0
    while begin < len(buffer):
        n = file.readinto(buffer[begin : begin + 2**30])
        if not n:
            raise EOFError
        begin += n
