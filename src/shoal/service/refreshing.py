"""Running `shoal refresh` in a process of its own, for the admin route.

A lock that the process inherits tells all workers whether it runs, also when the worker that
started it has ended; and a file tells them how the last run ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shoal.service import siblings
from shoal.service.logs import log
from shoal.service.security import ENVIRONMENT

MOST_OUTPUT = 2**20  # bytes of the process's output that are looked at
_NICE = 10  # requests go first
REFUSED = 3  # exit status where the new model was worse, and the live one stays


class RefreshIsRunningError(Exception):
    """A second one is not started."""


class Refreshing:
    """Starts refreshes, one at a time, and tells how they go.

    Parameters
    ----------
    config : Path
        As `shoal refresh` takes it.
    on_end : callable
        Is called when one has ended, in a thread of its own.
    command : sequence of str, optional
        What to run in place of ``shoal refresh``.
    """

    def __init__(
        self, config: Path, on_end: Callable[[], None], command: Sequence[str] | None = None
    ) -> None:
        program = [sys.executable, "-m", "shoal", "refresh", str(config), "--once", "--json"]
        self._command, self._on_end = list(command or program), on_end
        shared = siblings.shared_folder()
        self._own = None if shared else tempfile.TemporaryDirectory(prefix="shoal-refresh-")
        self._folder = shared or Path(self._own.name)  # type: ignore[union-attr]

    def start(self) -> None:
        """Start one.

        Raises
        ------
        RefreshIsRunningError
        """
        lock = os.open(self._folder / "refresh.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            process, started = self._start(lock)
        except BlockingIOError:
            os.close(lock)
            raise RefreshIsRunningError from None
        except BaseException:
            os.close(lock)
            raise
        log("info", "a refresh begins", refresh=process.pid)
        # the process has the lock too, and holds it to its end if this worker ends before
        threading.Thread(target=self._follow, args=(process, started, lock), daemon=True).start()

    def _start(self, lock: int) -> tuple[subprocess.Popen[bytes], float]:
        environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT.values()}
        for name in ("PROMETHEUS_MULTIPROC_DIR", siblings.FOLDER):
            environment.pop(name, None)
        started = time.time()
        self._tell({"running": True, "started": started})
        out_file, error_file = self._folder / "refresh.out", self._folder / "refresh.err"
        with out_file.open("wb") as out, error_file.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - the administrator's own command
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                env=environment,
                pass_fds=(lock,),
                start_new_session=True,  # it goes on when the service is stopped
            )
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        return process, started

    def _follow(self, process: subprocess.Popen[bytes], started: float, lock: int) -> None:
        code = process.wait()
        self._tell(
            {
                "running": False,
                "started": started,
                "ended": time.time(),
                "exit_code": code,
                **_output(self._folder),
            }
        )
        os.close(lock)
        log("info" if code in (0, REFUSED) else "error", "a refresh has ended", code=code)
        self._on_end()

    def state(self) -> dict[str, Any]:
        """Whether one runs, and how the last one ended."""
        try:
            told: dict[str, Any] = json.loads((self._folder / "refresh.json").read_text())
        except (OSError, ValueError):
            told = {"running": False}
        if told["running"] and not self._is_locked():  # its worker ended before it did
            told = {
                **told,
                "running": False,
                "error": "how it ended is not known: see shoal versions",
            }
        return told

    def close(self) -> None:
        """Remove what only this process knows."""
        if self._own is not None:
            self._own.cleanup()

    def _is_locked(self) -> bool:
        try:
            with (self._folder / "refresh.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _tell(self, state: dict[str, Any]) -> None:
        temporary = self._folder / f"refresh.{os.getpid()}.tmp"
        try:
            temporary.write_text(json.dumps(state))
            temporary.replace(self._folder / "refresh.json")
        except OSError as error:  # the folder is gone: the service has stopped
            log("warning", "the state of a refresh cannot be kept", reason=error.strerror)


def _output(folder: Path) -> dict[str, Any]:
    """The JSON that the process has printed as `result`, or what it said as `error`."""
    try:
        value = json.loads(_text(folder / "refresh.out"))
    except ValueError:
        lines = _text(folder / "refresh.err").splitlines()
        return {"error": lines[-1][:1000] if lines else ""}
    if isinstance(value, dict) and set(value) == {"error"}:
        return {"error": str(value["error"])[:1000]}
    return {"result": value}


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_OUTPUT).decode("utf-8", "replace").strip()
    except OSError:
        return ""
