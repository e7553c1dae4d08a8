"""A small process that outlives this one, and then clears up after a Ray that it had started.

Ray's own processes end with the process that started them, but after a ``kill -9`` its agents may
stay and its folder of logs and sockets does. The watcher waits for the end of the pipe that this
process holds, kills whatever still has files of the folder open, and removes the folder. It also
has the last word where Ray ends this process without one, as it does when its own server is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

FINISHED = b"."  # what a process says that ends as it should
SAID = (
    "error: the process was ended, or its Ray was, which it cannot go on without; nothing is left "
    "running"
)
PATIENCE = 3.0  # seconds in which processes of Ray may end by themselves


class Watcher:
    """Removes a folder, and ends what uses it, when this process has ended or says so.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            # -I and -S: it needs nothing but the standard library, and starts in 20 ms
            [sys.executable, "-I", "-S", __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # standard error is the one of this process
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )

    def finish(self) -> None:
        """Clear up now, and wait until that is done."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(FINISHED)
            self._process.stdin.close()
        self._process.wait()


def clear_up(folder: Path) -> None:
    """End what has files of a folder open, and remove it."""
    until = time.monotonic() + PATIENCE
    while _users(folder) and time.monotonic() < until:
        time.sleep(0.1)
    for _ in range(10):  # those that are starting may open a file later
        found = _users(folder)
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        if not found and not folder.exists():
            return
        time.sleep(0.2)


def _users(folder: Path) -> list[int]:
    """Processes that have a file of a folder open; none where there is no /proc."""
    inside, found = f"{folder}{os.sep}", []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) in (os.getpid(), os.getppid()):  # the parent has its own log open
            continue
        try:
            files = [link.readlink() for link in (process / "fd").iterdir()]
        except OSError:  # it has ended, or is another user's
            continue
        if any(str(file).startswith(inside) for file in files):
            found.append(int(process.name))
    return found


if __name__ == "__main__":
    said = sys.stdin.buffer.read()  # until the other end is closed, however that process ends
    clear_up(Path(sys.argv[1]))
    if said != FINISHED:
        with contextlib.suppress(OSError):
            os.write(2, f"{SAID}\n".encode())
