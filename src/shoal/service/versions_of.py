"""What is known of the versions behind a live model, and what a roll-back would lead to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from shoal.artifact import Store, Version, is_store
from shoal.artifact.history import way_back
from shoal.artifact.versions import described
from shoal.errors import ArtifactError
from shoal.service.live import LiveModel
from shoal.web import printable


@dataclass(frozen=True)
class Versions:
    """The versions of one live model.

    Parameters
    ----------
    versions : list of Version
        The newest first; of a model folder that is no store, the one that it holds.
    folders : dict of str to Path
        The model folder of each.
    is_store : bool
        Whether there may be others, and one can be made live.
    live : str or None
        The version that should answer, as the store names it.
    back : str or None
        The version to which a roll-back would lead.
    error : str
        Why nothing can be told; empty if it can.
    """

    versions: list[Version]
    folders: dict[str, Path]
    is_store: bool
    live: str | None = None
    back: str | None = None
    error: str = ""

    def named(self, name: str) -> Version | None:
        """The version with a name, if it is there."""
        return next((version for version in self.versions if version.name == name), None)


def versions_of(live: LiveModel) -> Versions:
    """What the folder behind a live model holds; whatever is wrong with it is told, not raised."""
    if not is_store(live.path):
        return _of_folder(live)
    try:
        versions = _versions(live.path)
    except (ArtifactError, OSError) as error:
        return Versions([], {}, is_store=True, error=printable(error, 500))
    current = next((version.name for version in versions if version.live), None)
    usable = {version.name for version in versions if not version.error}
    way = [name for name in way_back(live.path, current) if name != current and name in usable]
    return Versions(
        versions,
        {version.name: live.path / version.name for version in versions},
        is_store=True,
        live=current,
        back=way[-1] if way else None,
    )


# of each store: its versions that could be used, and what told their folders from changed ones
_Read = dict[str, tuple[tuple[int, int], Version]]
_read: dict[Path, _Read] = {}


def _versions(path: Path) -> list[Version]:
    """The versions of a store; those that were whole are not read again, since they never change.

    A file that is removed from a folder or put into it changes the folder's time.
    """
    before = _read.get(path, {})
    known = {
        name: version for name, (mark, version) in before.items() if mark == _mark(path / name)
    }
    marks = {name: before[name][0] for name in known}
    versions = Store(path).versions(known=known)
    _read[path] = {
        version.name: (marks.get(version.name) or _mark(path / version.name), version)
        for version in versions
        if not version.error
    }
    return versions


def _mark(folder: Path) -> tuple[int, int]:
    """What changes where a folder is replaced, or a file in it is."""
    try:
        about = folder.stat()
    except OSError:
        return (0, 0)
    return about.st_ino, about.st_mtime_ns


def _of_folder(live: LiveModel) -> Versions:
    served = live.served
    if served is None:
        return Versions([], {}, is_store=False)
    of_folder = described(served.folder, None, "")
    version = replace(of_folder, name=served.version, created=served.created, live=True)
    return Versions([version], {version.name: served.folder}, is_store=False, live=version.name)
