"""What is checked of the machines of a cluster before any work begins."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from shoal._version import __version__
from shoal.cluster.faults import as_shoal_error
from shoal.cluster.machines import Machine, machines
from shoal.errors import ClusterError

PATIENCE = 120.0  # seconds in which every machine must have answered; a first worker takes some
_URL = re.compile(r"^[a-z][a-z0-9+.-]+:/")  # s3://…, also as `Path` writes it, with one slash


def check_machines(inputs: Mapping[str, Path], outputs: Mapping[str, Path]) -> None:
    """Refuse a cluster whose machines are not alike, or do not see the files of a command.

    One machine is this one, and needs no check.

    Parameters
    ----------
    inputs, outputs : dict of str to Path
        What a command reads and writes, by the names of its options.

    Raises
    ------
    ClusterError
        A machine has another version of shoal, of Python or of NumPy, or none; or does not see a
        path. The message names the machine.
    """
    there = machines()
    if len(there) < 2:
        return
    read = {name: (str(p.absolute()), _size(p)) for name, p in inputs.items() if _is_local(p)}
    places = {name: _folder(p) for name, p in outputs.items() if _is_local(p)}
    with _marked(places) as marks:
        wanted = _software(__file__, __version__, np.__version__)
        answers = _ask(there, _look(), dict(read), marks)
    for machine, (software, unseen, unmarked) in zip(there, answers, strict=True):
        _check_software(machine, software, wanted)
        for name in unseen:
            raise ClusterError(
                f"{machine.name} does not see {inputs[name]} ({_said(name)}) as this machine does: "
                "put it where all machines of the cluster see it under the same path, or on S3"
            )
        for name in unmarked:
            raise ClusterError(
                f"{machine.name} does not share the folder of {outputs[name]} ({_said(name)}): "
                "write to a folder that all machines of the cluster share under the same path"
            )


def _software(file: str, version: str, numpy: str) -> dict[str, str]:
    """The versions that must be the same everywhere, and the sources of shoal as a hash."""
    package = Path(file).parents[1]
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    return {
        "shoal": version,
        "Python": platform.python_version(),
        "NumPy": numpy,
        "shoal's files": digest.hexdigest()[:12],
    }


def _check_software(machine: Machine, found: dict[str, str], wanted: dict[str, str]) -> None:
    for name, version in wanted.items():
        if found.get(name) == version:
            continue
        has = f"has {name} {found[name]}" if name in found else f"has no {name}"
        raise ClusterError(
            f"{machine.name} {has}, and this machine {version}: install the same on all machines, "
            "else results would depend on which of them does the work"
        )


def _look() -> Callable[..., Any]:
    """What each machine is asked; it travels as code, since shoal may not be there."""

    def look(files: dict[str, tuple[str, int]], marks: dict[str, str]) -> Any:
        try:
            import numpy

            from shoal._version import __version__
            from shoal.cluster import checks  # noqa: PLW0406 - there, not here
        except ImportError:  # of shoal, or of a shoal before it knew clusters
            return {}, [], []
        software = checks._software(checks.__file__, __version__, numpy.__version__)
        return software, *checks._seen(files, marks)

    return look


def _seen(files: dict[str, tuple[str, int]], marks: dict[str, str]) -> tuple[list[str], list[str]]:
    """The names of what is not on this machine, or is something else here."""
    unseen = [name for name, (path, size) in files.items() if _size(Path(path)) != size]
    return unseen, [name for name, path in marks.items() if not Path(path).exists()]


def _size(path: Path) -> int:
    """The bytes of a file, -1 for a folder, and -2 if there is nothing."""
    try:
        return -1 if path.is_dir() else path.stat().st_size
    except OSError:
        return -2


def _folder(path: Path) -> Path:
    """The nearest folder above what is to be written that is there."""
    path = path.absolute()
    return next(folder for folder in path.parents if folder.is_dir())


@contextlib.contextmanager
def _marked(folders: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """Put an empty file into each folder for a moment, which machines that share it see."""
    marks: dict[str, str] = {}
    name = f".shoal-{secrets.token_hex(6)}.mark"
    try:
        for option, folder in folders.items():
            (folder / name).touch()
            marks[option] = str(folder / name)
        yield marks
    finally:
        for mark in marks.values():
            Path(mark).unlink(missing_ok=True)


def _is_local(path: Path) -> bool:
    return not _URL.match(str(path))


def _said(name: str) -> str:
    """An option as a person types it."""
    return f"--{name.replace('_', '-')}" if name not in ("log", "model", "file") else name.upper()


def _ask(there: list[Machine], question: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Have each machine answer a question."""
    ask = ray.remote(question)
    handles = [
        ask.options(
            num_cpus=0,
            max_retries=3,
            scheduling_strategy=NodeAffinitySchedulingStrategy(machine.node, soft=False),
        ).remote(*arguments)
        for machine in there
    ]
    answers = []
    for machine, handle in zip(there, handles, strict=True):
        try:
            answers.append(ray.get(handle, timeout=PATIENCE))
        except ray.exceptions.GetTimeoutError:
            raise ClusterError(
                f"{machine.name} starts no worker within {PATIENCE:.0f} s: its log is in the "
                "folder logs of its Ray session"
            ) from None
        except ray.exceptions.RayError as error:
            raise as_shoal_error(error) from error
    return answers
