"""`track`: report a run folder, and never let a tracker stop or lose anything."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shoal.errors import DataError
from shoal.experiments.trackers.contents import read_run
from shoal.web import printable

TRACKERS = ("mlflow", "comet")
_SECONDS = 300.0  # that a tracker may take
# What the trackers would tell their makers, and how long they would wait for a server.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "COMET_ERROR_TRACKING_ENABLE": "false",
    "COMET_DISABLE_ANNOUNCEMENT": "true",
}
_UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "COMET_LOGGING_CONSOLE": "ERROR",
}
_SECRET = re.compile(r"KEY|TOKEN|PASSWORD|SECRET", re.IGNORECASE)


@dataclass(frozen=True)
class Tracked:
    """What came of reporting a run.

    Parameters
    ----------
    notes : tuple of str
        What a person may want to know: where archives are, that a report was there already.
    warnings : tuple of str
        One for each tracker that has no report: it is not installed, is down, hangs or fails.
    """

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of trackers, and leave out what is there twice.

    Raises
    ------
    DataError
        A tracker is unknown; the message names the nearest.
    """
    for name in names:
        if name not in TRACKERS:
            close = difflib.get_close_matches(name.lower(), TRACKERS, n=1, cutoff=0.5)
            meant = f" (did you mean {close[0]}?)" if close else ""
            known = " and ".join(TRACKERS)
            raise DataError(f"there is no tracker {name!r}{meant}: shoal reports to {known}")
    return tuple(dict.fromkeys(names))


def track(names: Sequence[str], folder: Path, *, seconds: float = _SECONDS) -> Tracked:
    """Report a run folder to trackers.

    Reporting again changes nothing where the results are the same, and replaces the report where
    they are not. Models and the values of single users are not reported.

    Parameters
    ----------
    names : sequence of str
        ``mlflow``, ``comet``.
    folder : Path
        A run folder that `shoal run` wrote, of a complete run or not.
    seconds : float
        How long each tracker may take.

    Returns
    -------
    Tracked
        Notes and warnings, without secrets. A warning names the tracker and the cause.

    Raises
    ------
    DataError
        A tracker is unknown, or the folder is not a run folder with results.
    """
    checked = check_names(names)
    folder = Path(folder).resolve()
    read_run(folder)
    told = [_report(name, folder, seconds) for name in checked]
    return Tracked(
        tuple(note for one in told for note in one.notes),
        tuple(warning for one in told for warning in one.warnings),
    )


def _report(name: str, folder: Path, seconds: float) -> Tracked:
    environment = {**_UNLESS_SET, **os.environ, **_ENVIRONMENT}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the same code as here
    try:
        outcome = _run_worker(name, folder, environment, seconds)
    except subprocess.TimeoutExpired:
        outcome = {"error": f"no answer within {seconds:g} s"}
    except OSError as error:
        outcome = {"error": f"its process could not be started: {error}"}
    if "error" in outcome:
        why = printable(without_secrets(str(outcome["error"])), 300)
        warning = f"{name}: the run was not reported ({why}); nothing is lost: "
        warning += f"`shoal runs track {folder} --to {name}` reports it later"
        return Tracked(warnings=(warning,))
    notes = outcome["notes"]
    assert isinstance(notes, list)
    return Tracked(notes=tuple(without_secrets(str(note)) for note in notes))


def _run_worker(
    name: str, folder: Path, environment: dict[str, str], seconds: float
) -> dict[str, object]:
    process = subprocess.Popen(  # noqa: S603 - this program, and a name from a fixed list
        [sys.executable, "-m", "shoal.experiments.trackers.worker", name, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        errors="replace",
        start_new_session=True,  # so that what the tracker starts ends with it
    )
    try:
        written, complaints = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    for line in reversed(written.splitlines()):
        with contextlib.suppress(ValueError):
            outcome = json.loads(line)
            if isinstance(outcome, dict) and outcome.keys() & {"notes", "error"}:
                return outcome
    last = complaints.strip().splitlines()[-1:] or [f"it ended with status {process.returncode}"]
    return {"error": last[0]}


def without_secrets(text: str) -> str:
    """The text without passwords in addresses and values of variables that hold keys."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, "…")
    return re.sub(r"(\w+://)[^\s/@]+@", r"\1…@", text)
