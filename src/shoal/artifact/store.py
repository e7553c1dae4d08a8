"""A store: the versions of a model one beside the other, and a pointer to the one that is live.

CURRENT          the name of the live version; replaced in one step
history.jsonl    what was published and made live when, and why
LOCK             held while the two are changed
20261125-…/      a version: a model folder, whose files never change
maps/            a map of the items for each version of which a service was asked for one
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError

from shoal.artifact import history
from shoal.artifact.copying import copy_model
from shoal.artifact.locks import locked
from shoal.artifact.manifest import MANIFEST
from shoal.artifact.pointer import (
    CURRENT,
    LOCK,
    MAPS,
    NAME,
    current_name,
    is_store,
    live_folder,
    version_names,
)
from shoal.artifact.reading import load
from shoal.artifact.versions import Version, described, new_name
from shoal.artifact.writing import checked_state, write_into
from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError, ShoalError
from shoal.forks import uses_polars
from shoal.run import Run
from shoal.unfinished import file_beside, flush, folder_beside, remove_leftovers

WAIT = 60.0  # seconds to wait for other processes that change the pointer

_PUBLISHED, _REMOVED = "published", "removed"  # stems of the names of unfinished folders


class Store:
    """The versions of a model in a folder, one of which is live.

    Any number of processes may publish, load and prune at once.

    Parameters
    ----------
    path : str or Path
    create : bool
        Make the store if there is none.

    Raises
    ------
    ArtifactError
        There is no store, or something else is there, or it cannot be made.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        if is_store(self.path):
            return
        check_new_store(self.path, must_be_there=not create)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / LOCK).touch()
            flush(self.path)
            flush(self.path.parent)
        except OSError as error:
            raise ArtifactError(f"{self.path}: the store could not be made ({error})") from error

    def current(self) -> str:
        """The name of the live version; only the pointer is read, so it may be asked often.

        Raises
        ------
        ArtifactError
            There is none, or the pointer is damaged.
        """
        return current_name(self.path)

    def folder(self, name: str) -> Path:
        """The model folder of a version.

        Raises
        ------
        ArtifactError
            There is no such version; the message says which there are.
        """
        if not NAME.fullmatch(name) or name == MAPS or not (self.path / name).is_dir():
            there = ", ".join(version_names(self.path)[::-1][:5]) or "none"
            raise ArtifactError(f"{self.path} has no version {name!r:.100} (it has: {there})")
        return self.path / name

    def versions(
        self, *, verify: bool = False, known: Mapping[str, Version] | None = None
    ) -> list[Version]:
        """All versions, the newest first.

        Those that cannot be used, because a file is missing or truncated, have an `error`.

        Parameters
        ----------
        verify : bool
            Whether to compare the hashes of all files, too.
        known : mapping of str to Version, optional
            Versions by their names that were read before, and whose folders did not change since:
            they are not read again.
        """
        live, notes = self._live(), history.notes(self.path)
        read_before = known or {}
        return [
            replace(read_before[name], live=name == live, note=notes.get(name, ""))
            if name in read_before
            else described(self.path / name, live, notes.get(name, ""), verify=verify)
            for name in version_names(self.path)[::-1]
        ]

    def version(self, name: str) -> Version:
        """What is known of one version.

        Raises
        ------
        ArtifactError
            There is no such version.
        """
        note = history.notes(self.path).get(name, "")
        return described(self.folder(name), self._live(), note)

    def load(self, name: str | None = None, run: Run | None = None) -> Recommender:
        """Load a version, the live one if none is named; its arrays are mapped into memory.

        Raises
        ------
        ArtifactError
            As of `shoal.load`.
        """
        return load(self.path if name is None else self.folder(name), run, mapped=True)

    def publish(
        self,
        model: Recommender | str | Path,
        *,
        activate: bool = True,
        note: str = "",
        metrics: dict[str, Any] | None = None,
    ) -> Version:
        """Add a version, and make it the live one.

        Whatever happens on the way, the store holds the whole version or nothing of it, and the
        pointer names the version before or this one.

        Parameters
        ----------
        model : Recommender or path
            A fitted model; or a model folder, which is checked, loaded, and copied.
        activate : bool
            Whether it becomes live.
        note : str
            A few words for the history.
        metrics : dict, optional
            Evaluation results to keep with it; None keeps those of the folder.

        Raises
        ------
        ArtifactError
            The folder is no whole model, the model cannot be saved, or the disk refuses.
        """
        uses_polars("publishing a model")
        if isinstance(model, Recommender):
            state = checked_state(model)
        else:
            model = live_folder(Path(model))
            load(model, mapped=True)
        with self._writing("could not be published to"):
            self._sweep()
            with folder_beside(self.path / _PUBLISHED) as unfinished:
                if isinstance(model, Recommender):
                    manifest = write_into(unfinished, model, state, metrics or {})
                else:
                    manifest = copy_model(model, unfinished, metrics)
                with self._locked("a model is published"):
                    name = new_name(version_names(self.path), manifest["model"])
                    self._place(unfinished, name, note, activate=activate)
        return self.version(name)

    def activate(self, name: str) -> Version:
        """Make a version the live one, after all of it was checked and it could be loaded.

        Raises
        ------
        ArtifactError
            There is no such version, or it is broken; the pointer is as it was.
        """
        folder = self.folder(name)
        load(folder, mapped=True)
        with (
            self._writing("could not be changed"),
            self._locked("a version is made live"),
        ):
            self.folder(name)  # it may have been pruned meanwhile
            self._point_to(name, "activate")
        return self.version(name)

    def rollback(self) -> Version:
        """Make the version live that was live before; the next roll-back goes further back.

        Versions that were pruned or are broken are passed over.

        Raises
        ------
        ArtifactError
            No version that was live before is there; the message says which there are.
        """
        with self._writing("could not be changed"), self._locked("it is rolled back"):
            name = self._before(self._live())
            if name is None:
                there = ", ".join(version_names(self.path)[::-1][:5]) or "none"
                raise ArtifactError(
                    f"{self.path}: no version that was live before is there and whole (it holds: "
                    f"{there}): shoal activate one"
                )
            self._point_to(name, "rollback")
        return self.version(name)

    def prune(self, keep: int = 5) -> list[str]:
        """Remove all but the newest versions, and give the names of those that were removed.

        The live version stays, and the one to which a roll-back would go. Versions that cannot be
        used do not count as kept.

        Parameters
        ----------
        keep : int
            How many to keep, 1 or more.

        Raises
        ------
        ArtifactError
            `keep` is below 1, the pointer is damaged, or the disk refuses.
        """
        if keep < 1:
            raise ArtifactError(f"keep={keep}: give 1 or more")
        with self._writing("could not be pruned"), self._locked("versions are removed"):
            self._sweep()
            live = current_name(self.path) if (self.path / CURRENT).exists() else None
            kept = {live, self._before(live)}
            n_whole, removed = 0, []
            for version in self.versions():
                n_whole += not version.error
                if n_whole > keep or (version.error and n_whole == keep):
                    removed += [version.name] if version.name not in kept else []
            for name in removed:
                with folder_beside(self.path / _REMOVED) as scratch:
                    # a load sees the whole version or none
                    (self.path / name).rename(scratch / "version")
                    flush(self.path)
                history.append(self.path, {"action": "prune", "version": name})
            self._remove_maps()
        return removed

    # -- what the methods above share ------------------------------------------------------

    def _live(self) -> str | None:
        """The live version; None if there is none or the pointer is damaged."""
        with contextlib.suppress(ArtifactError):
            return current_name(self.path)
        return None

    def _before(self, live: str | None) -> str | None:
        """The version that was live before the live one, is there, and can be loaded."""
        way = history.way_back(self.path, live)
        if live is not None:
            way = [name for name in way if name != live]
        for name in reversed(way):
            if NAME.fullmatch(name) and (self.path / name).is_dir():
                with contextlib.suppress(ShoalError):
                    load(self.path / name, mapped=True)
                    return name
        return None

    def _place(self, unfinished: Path, name: str, note: str, *, activate: bool) -> None:
        """Move a finished folder into the store, and point to it if it is to be live.

        All that needs room on the disk is written first; what follows only renames.
        """
        entry = {"action": "publish", "version": name, "note": note, "live": activate}
        if not activate:
            history.append(self.path, entry)
            unfinished.rename(self.path / name)
            flush(self.path)
            return
        with self._new_pointer(name) as pointer:
            history.append(self.path, {**entry, "before": self._live()})
            unfinished.rename(self.path / name)
            flush(self.path)
            pointer.replace(self.path / CURRENT)
            flush(self.path)

    def _point_to(self, name: str, action: str) -> None:
        """Make a version live that is in the store."""
        with self._new_pointer(name) as pointer:
            entry = {"action": action, "version": name, "before": self._live(), "live": True}
            history.append(self.path, entry)
            pointer.replace(self.path / CURRENT)
            flush(self.path)

    @contextlib.contextmanager
    def _new_pointer(self, name: str) -> Iterator[Path]:
        """A flushed file beside the pointer, which is to take its place."""
        with file_beside(self.path / CURRENT) as file:
            file.write_text(name + "\n")
            file.chmod(0o644)
            flush(file)
            yield file

    @contextlib.contextmanager
    def _locked(self, purpose: str) -> Iterator[None]:
        with locked(self.path / LOCK, wait=WAIT, purpose=purpose):
            yield

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Turn what the disk refuses into an error for a person."""
        try:
            yield
        except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
            if isinstance(error, ShoalError):
                raise
            raise ArtifactError(
                f"{self.path} {what} ({error}); the live version is as it was"
            ) from error

    def _remove_maps(self) -> None:
        """Remove the maps of versions that are no longer there."""
        names = set(version_names(self.path))
        for file in (self.path / MAPS).glob("*.json"):
            if file.stem not in names:
                with contextlib.suppress(OSError):  # of another user; it does no harm
                    file.unlink()

    def _sweep(self) -> None:
        """Remove what killed processes left unfinished."""
        for stem in (_PUBLISHED, _REMOVED, CURRENT):
            remove_leftovers(self.path / stem)


def check_new_store(path: str | Path, *, must_be_there: bool = False) -> None:
    """Check before long work whether a store is at a place, or can be made there.

    Raises
    ------
    ArtifactError
        Something else is there; or nothing, where a store must be there.
    """
    path = Path(path)
    if is_store(path):
        return
    if (path / MANIFEST).exists():
        raise ArtifactError(f"{path} is a model folder, and no store of versions: name another one")
    if path.exists() and not path.is_dir():
        raise ArtifactError(f"{path} is a file, and no store of versions: name a folder")
    empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not empty:
        raise ArtifactError(f"{path} exists and is no store of versions: name a new folder")
    if must_be_there:
        if path.is_dir():
            raise ArtifactError(f"{path} is an empty folder, and no store of versions")
        raise ArtifactError(f"{path} is no store of versions: shoal publish MODEL {path} makes one")
