"""A refresh in a process of its own, so that whoever asks for it stays free."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import Any

from shoal import errors
from shoal.artifact.locks import LockedError
from shoal.errors import ShoalError, TrainingError
from shoal.refresh.config import Config
from shoal.refresh.outcome import Outcome
from shoal.run import Progress, Silent

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LINES = 20  # of the process's own messages that are kept


class RefreshProcess:
    """A refresh that is running, or has ended.

    All methods may be called from any thread.
    """

    def __init__(self, config: Config, wait: float) -> None:
        self._outcome: Outcome | None = None
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._steps: list[str] = []
        self._messages: deque[str] = deque(maxlen=_LINES)
        self._stopped = False
        environment = dict(os.environ)
        # the same code as here, wherever it was found
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        if config.threads is not None:
            environment |= dict.fromkeys(_THREAD_VARIABLES, str(config.threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "shoal.refresh.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,  # an interrupt at the terminal is for the one who waits
        )
        task = {"config": config.model_dump(mode="json"), "wait": wait}
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; `_listen` says why
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
        threading.Thread(target=self._note_messages, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def step(self) -> str:
        """What it does now; "" before the first step."""
        return self._steps[-1] if self._steps else ""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    def wait(self, timeout: float | None = None) -> Outcome:
        """Wait for the end.

        Raises
        ------
        ShoalError
            The refresh failed; the live version is as it was.
        TimeoutError
            It is still running after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"the refresh still runs ({self.step})")
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def stop(self) -> None:
        """End the process at once; the live version stays, and nothing is left half written."""
        self._stopped = True
        if self._process.poll() is None:
            self._process.kill()
        self._ended.wait(10)

    def follow(self, progress: Progress) -> Outcome:
        """Report the steps until the end, then `wait`."""
        shown = 0
        while self._has_more_than(shown):
            with progress.step(self._steps[shown]):
                shown += 1
                self._has_more_than(shown)
        return self.wait()

    def _has_more_than(self, n_steps: int) -> bool:
        """Wait for the next step or the end; whether there is such a step."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._steps) > n_steps or self._ended.is_set())
            return len(self._steps) > n_steps

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a library printed something
            if not isinstance(message, dict):
                continue
            with self._changed:
                if "step" in message:
                    self._steps.append(str(message["step"]))
                elif "outcome" in message:
                    self._outcome = Outcome.of_dict(message["outcome"])
                elif "error" in message:
                    self._error = _error(message)
                self._changed.notify_all()
        status = self._process.wait()
        if self._outcome is None and self._error is None:
            self._error = TrainingError(self._why_it_ended(status))
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with self._changed:
            self._ended.set()
            self._changed.notify_all()

    def _note_messages(self) -> None:
        assert self._process.stderr is not None
        self._messages.extend(line.rstrip() for line in self._process.stderr)

    def _why_it_ended(self, status: int) -> str:
        if self._stopped:
            return "the refresh was stopped; the live version is as it was"
        during = f" while it was {self.step}" if self.step else ""
        if status == -signal.SIGKILL:
            return (
                f"the process of the refresh was killed{during} (was there enough memory? See "
                "memory in the configuration); shoal versions says what is live"
            )
        last = f": {self._messages[-1]}" if self._messages else ""
        return f"the process of the refresh ended with status {status}{during}{last}"


def start_in_process(config: Config, *, wait: float = 0.0) -> RefreshProcess:
    """Start a refresh in a process of its own, and return at once.

    Parameters
    ----------
    config : Config
    wait : float
        Seconds to wait for another refresh of the same store to end.
    """
    return RefreshProcess(config, wait)


def run(config: Config, progress: Progress | None = None, *, wait: float = 0.0) -> Outcome:
    """Refresh once: train in a process of its own, compare, and publish if it is good.

    Parameters
    ----------
    config : Config
    progress : Progress, optional
    wait : float
        Seconds to wait for another refresh of the same store to end.

    Returns
    -------
    Outcome
        Also where the new model is worse and was not published.

    Raises
    ------
    LockedError
        Another refresh of this store is running; the message says whose.
    ShoalError
        The log cannot be read, the model cannot be trained, the disk refuses, …: the live version
        is as it was.
    """
    process = start_in_process(config, wait=wait)
    try:
        return process.follow(progress or Silent())
    except BaseException:
        process.stop()
        raise


def _error(message: dict[str, Any]) -> Exception:
    """The error that the process met, in the type that it had there where that is known."""
    name, text = str(message.get("type", "")), str(message["error"])
    if name == "LockedError":
        return LockedError(text)
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, ShoalError):
        return kind(text)
    return TrainingError(f"the refresh failed ({text}); the live version is as it was")
