"""The folder of a run: its files, what state it is in, and the lock of the process that runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shoal._version import __version__
from shoal.artifact.locks import LockedError, locked
from shoal.errors import ArtifactError
from shoal.experiments.plain_data import finite
from shoal.files import replacing

FORMAT = 1
RUN = "run.json"
FILE = "experiment.yaml"
ENVIRONMENT = "environment.json"
DATA = "data.json"
REFUSED = "refused.json"
RESULTS = "results.json"
PER_USER = "per_user.parquet"
TRIALS = "trials.jsonl"
CURVES = "curves.jsonl"
REPORT = "report.html"
CELLS, STUDIES, SEARCHES, MODELS = "cells", "studies", "searches", "models"
CHECKPOINTS, EXTRAS, FAULTS = "checkpoints", "extras", "faults"
RUNNING, COMPLETE, INTERRUPTED, FAILED = "running", "complete", "interrupted", "failed"
PARTIAL = "partial"  # models were left for later on purpose
STATES = (RUNNING, COMPLETE, PARTIAL, INTERRUPTED, FAILED)
KILLED = "killed"  # it says that it runs, and no process does
# what run.json always has
_ABOUT: dict[str, Any] = {
    "name": str, "status": str, "started": str, "seconds": int | float, "cells": int,
    "fingerprint": str, "labels": list, "asked": dict,
}  # fmt: skip
_WRITTEN_AGAIN = (ENVIRONMENT, DATA, REFUSED)  # by a run that goes on, where they are not there
_LOCK = ".lock"
_WAIT = 1.0  # seconds for another process that only looks at the lock
_MOST_BYTES = 1 << 30  # of a file of JSON that is read
_FLUSH = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True)
class RunFolder:
    """The folder that a run leaves.

    Parameters
    ----------
    path : Path
        It holds ``run.json``; `open_run` checks that.
    """

    path: Path

    @property
    def about(self) -> dict[str, Any]:
        """What ``run.json`` says: name, status, when it started and ended, which file it ran."""
        return self.read_json(RUN)

    @property
    def status(self) -> str:
        """``complete``, ``partial``, ``interrupted``, ``failed``, ``running``, or ``killed``."""
        told = str(self.about["status"])
        return KILLED if told == RUNNING and not self.in_use else told

    @property
    def in_use(self) -> bool:
        """Whether a process runs it now."""
        if not (self.path / _LOCK).exists():
            return False
        try:
            with locked(self.path / _LOCK, wait=0, purpose="being looked at"):
                self._forget_holder()
                return False
        except LockedError:
            return True
        except OSError:  # a disk that may only be read
            return False

    @property
    def results(self) -> dict[str, Any]:
        """What ``results.json`` holds.

        Raises
        ------
        ArtifactError
            The run has no results yet, or the file is damaged.
        """
        if not (self.path / RESULTS).is_file():
            raise ArtifactError(
                f"{self.path} has no results yet: go on with `shoal run --resume {self.path}`"
            )
        return self.read_json(RESULTS)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from running it meanwhile.

        Raises
        ------
        LockedError
            Another process runs it; the message says which.
        """
        with ExitStack() as stack:
            try:
                lock = locked(self.path / _LOCK, wait=_WAIT, purpose="an experiment is run")
                stack.enter_context(lock)
            except LockedError as error:
                raise LockedError(
                    f"{error}: wait for it, or begin another run with --new"
                ) from None
            try:
                yield
            finally:
                self._forget_holder()

    def _forget_holder(self) -> None:
        """Empty the file of the lock, which names the host; the lock itself must be held."""
        with suppress(OSError):
            (self.path / _LOCK).write_bytes(b"")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a file of the folder that holds one mapping.

        Raises
        ------
        ArtifactError
            There is no such file, or it is damaged.
        """
        path = self.path / name
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ArtifactError(f"{path} is too large to be a file of a run")
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise _damaged(path) from None
        if not isinstance(content, dict):
            raise _damaged(path)
        if name == DATA and not all(isinstance(told, dict) for told in content.values()):
            raise _damaged(path)
        return content

    def read_json_if_there(self, name: str) -> dict[str, Any]:
        """Read such a file; nothing where it is not there (yet)."""
        return self.read_json(name) if (self.path / name).is_file() else {}

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a file of the folder, whole or not at all; numbers that are not finite are null."""
        self.write_text(name, json.dumps(finite(content), ensure_ascii=False, indent=1) + "\n")

    def write_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write a file with a line of JSON for each row, whole or not at all."""
        lines = [json.dumps(finite(row), ensure_ascii=False) + "\n" for row in rows]
        self.write_text(name, "".join(lines))

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the folder, whole or not at all.

        Raises
        ------
        ArtifactError
            The disk refuses.
        """
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                _FLUSH(file.fileno())
        except OSError as error:
            raise ArtifactError(f"{path} could not be written ({error})") from error

    def set(self, **entries: Any) -> None:
        """Change entries of ``run.json``."""
        self.write_json(RUN, self.about | entries)

    def remove(self, name: str) -> None:
        """Remove a folder within this one, if it is there."""
        shutil.rmtree(self.path / name, ignore_errors=True)


def make_folder(path: Path, about: dict[str, Any]) -> RunFolder:
    """Make the folder of a new run.

    Raises
    ------
    ArtifactError
        There is something at this path already, or the disk refuses.
    """
    if not is_free(path):
        raise ArtifactError(f"{path} is there already: name another folder by --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be made: {error.strerror}") from None
    folder = RunFolder(path)
    folder.write_json(RUN, {"format": FORMAT, "shoal": __version__} | about)
    return folder


def is_free(path: Path) -> bool:
    """Whether there is nothing at a path, or a folder that is empty."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run."""
    return (path / RUN).is_file()


def open_run(path: str | Path) -> RunFolder:
    """Open the folder of a run.

    Raises
    ------
    ArtifactError
        There is no such folder, it is none of a run, or a newer shoal wrote it.
    """
    path = Path(path)
    if not path.is_dir():
        raise ArtifactError(f"there is no folder {path}: `shoal runs list` names those of runs")
    if not is_run(path):
        raise ArtifactError(f"{path} is no folder of a run: it has no {RUN}")
    folder = RunFolder(path)
    about = folder.about
    if not isinstance(about.get("format"), int):
        raise _damaged(path / RUN)
    if about["format"] > FORMAT:
        raise ArtifactError(f"{path} was written by a newer shoal: update shoal to read it")
    wrong = any(not isinstance(about.get(name), kind) for name, kind in _ABOUT.items())
    if wrong or about["status"] not in STATES:
        raise _damaged(path / RUN)
    return folder


def runs_below(folder: Path) -> list[RunFolder]:
    """The runs in a folder, or the folder itself if it is one; the newest first.

    Folders whose ``run.json`` is damaged are left out.
    """
    places = [folder] if is_run(folder) else sorted(folder.iterdir()) if folder.is_dir() else []
    found = []
    for place in places:
        if not is_run(place):
            continue
        try:
            run = open_run(place)
            found.append((str(run.about.get("started")), place.name, run))
        except ArtifactError:
            continue
    return [run for *_, run in sorted(found, key=lambda one: one[:2], reverse=True)]


def default_path(name: str, parent: Path = Path("runs")) -> Path:
    """The folder of a new run that nobody named: ``runs/NAME-DATE-TIME``, if it is free."""
    moment = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    path, number = parent / f"{name}-{moment}", 2
    while path.exists():
        path, number = parent / f"{name}-{moment}-{number}", number + 1
    return path


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def safe_name(*parts: object) -> str:
    """Join names to one of a file; characters that mean something in paths are written out."""
    return "--".join(
        re.sub(
            r"[^A-Za-z0-9._+-]|^\.", lambda c: "".join(f"%{b:02x}" for b in c[0].encode()), str(p)
        )
        for p in parts
    )


def _damaged(path: Path) -> ArtifactError:
    again = path.name in _WRITTEN_AGAIN
    way_out = f". Bring it back, or remove it: `shoal run --resume {path.parent}` writes it again"
    told = f"{path} is damaged: it was not written by shoal, or changed since"
    return ArtifactError(told + (way_out if again else ""))
