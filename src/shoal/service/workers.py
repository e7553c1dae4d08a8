"""Several processes that serve from one socket, and the one that watches over them.

Workers are spawned, not forked, so that no thread pool is lost in them. Each watches the store by
itself, and maps the same files, so that they share the memory of the weights.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType

from shoal.service import siblings
from shoal.service.logs import log, set_level
from shoal.service.metrics import SEVERAL
from shoal.service.settings import Settings

QUICK = 5.0  # seconds: a worker that ends sooner is started again after a pause
LONGEST_PAUSE = 10.0


def serve_with_workers(settings: Settings, opened: socket.socket) -> None:
    """Serve with several workers until a signal ends it; SIGHUP replaces them one by one."""
    set_level(settings.log_level)
    folder = Path(tempfile.mkdtemp(prefix="shoal-workers-"))
    (folder / "metrics").mkdir()
    before = {name: os.environ.get(name) for name in (SEVERAL, siblings.FOLDER)}
    os.environ[SEVERAL], os.environ[siblings.FOLDER] = str(folder / "metrics"), str(folder)
    try:
        Supervisor(settings, opened, folder).run()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


class Supervisor:
    """Starts workers, and starts those again that end.

    Parameters
    ----------
    settings : Settings
    opened : socket
        They all accept from it.
    folder : Path
        Where they tell their versions and keep their metrics.
    """

    def __init__(self, settings: Settings, opened: socket.socket, folder: Path) -> None:
        self._settings, self._socket, self._folder = settings, opened, folder
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[SpawnProcess, float] = {}  # when each was started
        self._pause = 0.0
        self._stopping = self._replacing = False

    def run(self) -> None:
        """Watch over the workers until a signal comes."""
        handled = {signal.SIGINT: self._stop, signal.SIGTERM: self._stop}
        if hasattr(signal, "SIGHUP"):
            handled[signal.SIGHUP] = self._replace
        before = {number: signal.signal(number, handler) for number, handler in handled.items()}
        try:
            for number in range(self._settings.workers):
                self._start(waits=number > 0)  # the first one tells that nothing is ready yet
            while not self._stopping:
                self._watch()
                if self._replacing:
                    self._replacing = False
                    self._replace_one_by_one()
        finally:
            self._end_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _replace(self, number: int, frame: FrameType | None) -> None:
        self._replacing = True

    def _start(self, *, waits: bool) -> SpawnProcess:
        """Start a worker; one that waits leaves requests to the others until it has a model."""
        secrets = self._settings.model_dump(mode="json", exclude={"read_key", "admin_key"})
        for name in ("read_key", "admin_key"):
            value = getattr(self._settings, name)
            secrets[name] = None if value is None else value.get_secret_value()
        parameters = secrets, self._socket, waits
        worker = self._context.Process(target=_work, args=parameters, name="shoal-worker")
        worker.start()
        self._workers[worker] = time.monotonic()
        return worker

    def _watch(self) -> None:
        wait([worker.sentinel for worker in self._workers], timeout=0.25)
        for worker in [w for w in self._workers if not w.is_alive()]:
            lived = time.monotonic() - self._workers[worker]
            self._buried(worker)
            if self._stopping:
                continue
            log("error", "a worker has ended", worker=worker.pid, code=worker.exitcode)
            self._pause = min(LONGEST_PAUSE, 2 * self._pause + 0.5) if lived < QUICK else 0.0
            self._rest(self._pause)
            if not self._stopping:
                self._start(waits=bool(siblings.versions()))

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(0.05)

    def _buried(self, worker: SpawnProcess) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        del self._workers[worker]
        worker.join()
        if worker.pid is not None:
            mark_process_dead(  # type: ignore[no-untyped-call]
                worker.pid, str(self._folder / "metrics")
            )
            siblings.forget(self._folder, worker.pid)

    def _replace_one_by_one(self) -> None:
        log("info", "workers are replaced")
        for worker in list(self._workers):
            if self._stopping:
                return
            new = self._start(waits=True)
            self._wait_until_it_serves(new)
            if not (new.is_alive() or self._stopping):
                self._buried(new)
                log("error", "a new worker has ended, so the old ones stay", code=new.exitcode)
                return
            worker.terminate()
            worker.join(self._settings.graceful_seconds + 5)
            if worker.is_alive():
                worker.kill()
            self._buried(worker)

    def _wait_until_it_serves(self, worker: SpawnProcess) -> None:
        until = time.monotonic() + 120
        path = self._folder / f"worker-{worker.pid}"
        while not (self._stopping or path.exists()) and time.monotonic() < until:
            if not worker.is_alive():
                return
            time.sleep(0.05)

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.terminate()
        until = time.monotonic() + self._settings.graceful_seconds + 5
        for worker in self._workers:
            worker.join(max(0.1, until - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join()
        log("info", "all workers have ended")


def _work(values: dict[str, object], opened: socket.socket, wait_for_model: bool) -> None:
    """The main function of a worker."""
    # Ctrl-C reaches all processes of a terminal; the supervisor then tells the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from shoal.service.server import serve

    serve(Settings.model_validate(values), opened, wait_for_model=wait_for_model)


def _end_with_parent() -> None:
    """Stop when the supervisor is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
