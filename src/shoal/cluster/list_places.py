"""Where the files of lists are: a folder of this machine or one that machines share, or a URL."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from shoal.data.remote import RemoteFolder, as_url
from shoal.errors import ArtifactError, DataError
from shoal.files import write_whole
from shoal.unfinished import file_beside, remove_leftovers


class Place(Protocol):
    """A folder whose files are written whole or not at all."""

    def make(self) -> None:
        """Make the folder, if it is not there; the one above it must be."""

    def names(self) -> list[str]:
        """The names of all files."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""

    def size(self, name: str) -> int:
        """The bytes of a file; -1 if there is none."""

    def sha256(self, name: str) -> str:
        """The hash of a file; "" if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one that is there."""

    def write_first(self, name: str, content: bytes) -> None:
        """Write a file unless there is one: of several processes, one succeeds."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def tidy(self, name: str) -> None:
        """Remove what killed processes left while they wrote a file."""


def place_of(path: Path) -> Place:
    """The folder of a path or a URL."""
    url = as_url(path)
    return LocalPlace(path) if url is None else RemotePlace(url)


class LocalPlace:
    """A folder of a file system."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Make the folder, if it is not there; the one above it must be."""
        if not self._path.parent.is_dir():
            raise ArtifactError(f"{self._path}: there is no folder {self._path.parent}")
        try:
            self._path.mkdir(exist_ok=True)
        except OSError as error:
            raise ArtifactError(f"{self._path} cannot be written ({error})") from error

    def names(self) -> list[str]:
        """The names of all files."""
        return [entry.name for entry in self._path.iterdir()]

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        try:
            return (self._path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ArtifactError(f"{self._path / name} cannot be read ({error})") from error

    def size(self, name: str) -> int:
        """The bytes of a file; -1 if there is none."""
        try:
            return (self._path / name).stat().st_size
        except OSError:
            return -1

    def sha256(self, name: str) -> str:
        """The hash of a file; "" if there is none."""
        try:
            with (self._path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one that is there."""
        write_whole(self._path / name, lambda to: to.write_bytes(content))

    def write_first(self, name: str, content: bytes) -> None:
        """Write a file unless there is one: of several processes, one succeeds."""
        place = self._path / name
        remove_leftovers(place)
        try:
            with file_beside(place) as unfinished:
                unfinished.write_bytes(content)
                try:
                    os.link(unfinished, place)
                except FileExistsError:
                    return
                except OSError:  # a file system without links
                    unfinished.replace(place)
        except OSError as error:
            raise ArtifactError(f"{place} could not be written ({error})") from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self._path / name).unlink(missing_ok=True)

    def tidy(self, name: str) -> None:
        """Remove what killed processes left while they wrote a file."""
        remove_leftovers(self._path / name)


class RemotePlace:
    """A folder behind a URL, whose service writes each object whole or not at all."""

    def __init__(self, url: str) -> None:
        self._folder = RemoteFolder(url)

    def make(self) -> None:
        """Nothing: folders of such a service are the names of what is in them."""

    def names(self) -> list[str]:
        """The names of all files."""
        return self._folder.names()

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        return self._folder.read(name)

    def size(self, name: str) -> int:
        """The bytes of a file; -1 if there is none."""
        return self._folder.size(name)

    def sha256(self, name: str) -> str:
        """The hash of a file; "" if there is none."""
        content = self.read(name)
        return "" if content is None else hashlib.sha256(content).hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one that is there."""
        try:
            self._folder.write(name, content)
        except DataError as error:
            raise ArtifactError(str(error)) from error

    def write_first(self, name: str, content: bytes) -> None:
        """Write a file unless there is one; who reads it afterwards sees whose it is."""
        if self.read(name) is None:
            self.write(name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._folder.remove(name)

    def tidy(self, name: str) -> None:
        """Nothing: what was not written to its end is not there."""
