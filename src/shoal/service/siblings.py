"""What the workers of one service tell each other: which version each of them serves.

Each writes a small file into a folder that the supervisor has made. A reload that has reached one
worker of four is seen there by whoever asks any of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FOLDER = "SHOAL_WORKERS_DIR"  # in the environment of workers


def shared_folder() -> Path | None:
    """The folder that all workers of this service share; None where there is one process alone."""
    text = os.environ.get(FOLDER)
    return Path(text) if text else None


def tell(version: str) -> None:
    """Tell which version this worker serves from now on."""
    folder = shared_folder()
    if folder is None:
        return
    with suppress(OSError):
        unfinished = folder / f".{os.getpid()}"
        unfinished.write_text(version)
        unfinished.replace(folder / f"worker-{os.getpid()}")


def forget(folder: Path, pid: int) -> None:
    """Forget a worker that has ended."""
    (folder / f"worker-{pid}").unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """The version of each worker, by process id; empty where there is one process alone."""
    folder = shared_folder()
    if folder is None:
        return {}
    told = {}
    for path in sorted(folder.glob("worker-*")):
        with suppress(OSError):
            told[path.name.removeprefix("worker-")] = path.read_text()
    return told
