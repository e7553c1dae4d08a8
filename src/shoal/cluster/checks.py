"""What is checked of the machines of a cluster before any work begins."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from shoal.cluster.facts import size, software
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
    read = {name: (str(p.absolute()), size(p)) for name, p in inputs.items() if _is_local(p)}
    places = {name: _folder(p) for name, p in outputs.items() if _is_local(p)}
    with _marked(places) as marks:
        wanted = software()
        answers = _ask(there, _look(), dict(read), marks)
    for machine, (found, unseen, unmarked) in zip(there, answers, strict=True):
        _check_software(machine, found, wanted)
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
            from shoal._version import __version__
        except ImportError:
            return {}, [], []
        try:
            from shoal.cluster.facts import software, unlike
        except ImportError:  # an earlier shoal
            return {"shoal": __version__}, [], []
        return software(), *unlike(files, marks)

    return look


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
    if name == "everyone":
        return "--all"
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
