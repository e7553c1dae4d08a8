"""What a run ran on: versions, processor, threads, memory, commits; nothing that names a person."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from shoal._version import __version__
from shoal.experiments.machine import accelerator, processor
from shoal.kernels.threads import cores
from shoal.run import Run

PACKAGES = (
    *("numpy", "scipy", "numba", "polars", "torch", "scikit-learn", "optuna", "faiss-cpu"),
    *("sentence-transformers", "openTSNE"),
)
_SECRET = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_OF_ADDRESS = re.compile(r"(?<=://)[^/@\s]+@")  # a user and a password
_GIT_SECONDS = 10.0


def environment(run: Run, place: Path, command: Sequence[str] = ()) -> dict[str, Any]:
    """Describe what figures may depend on.

    Parameters
    ----------
    run : Run
        Threads, device and precision.
    place : Path
        The folder of the experiment file: where it lies in a git repository, the commit is told.
    command : sequence of str
        The command line; secrets and the folders of this machine are left out.

    Returns
    -------
    dict
    """
    source = Path(__file__).resolve().parents[4]  # of an editable installation: the repository
    return {
        "shoal": __version__,
        "python": platform.python_version(),
        "packages": _versions(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": processor(),
        "cores": cores(),
        "threads": run.threads or cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "blas": _blas(),
        "device": run.device,
        "gpu": accelerator(run),
        "precision": run.precision,
        "commit": commit(place),
        "shoal_commit": commit(source) if (source / ".git").exists() else None,
        "command": shown_command(command),
    }


def shown_command(command: Sequence[str]) -> str:
    """A command line without secrets, and without the folders of this machine.

    The value of an option whose name speaks of a key, a token, a secret or a password becomes
    ``…``, as do user and password in an address. Of an absolute path the last name is left.
    """
    shown, hide = [], False
    for word in command:
        if hide:
            shown.append("…")
            hide = False
            continue
        option, equals, value = word.partition("=")
        if option.startswith("-") and _SECRET.search(option):
            shown.append(f"{option}=…" if equals else option)
            hide = not equals
            continue
        safe = _OF_ADDRESS.sub("", value if equals else word)
        safe = safe.rstrip("/").rpartition("/")[2] if safe.startswith(("/", "~")) else safe
        shown.append(f"{option}={safe}" if equals else safe)
    return " ".join(f"'{word}'" if " " in word else word for word in shown)


def without_folders(text: str) -> str:
    """A text in which of each absolute path the last name is left."""
    return re.sub(r"(?<![\w.~])[/~][^\s:;,'\"]*/", "", text)


def commit(folder: Path) -> str | None:
    """The commit of the git repository that holds a folder, and whether files differ from it.

    Returns
    -------
    str or None
        None where there is no git, no repository, or no commit.
    """
    git = shutil.which("git")
    if git is None or not folder.is_dir():
        return None
    head = _of_git(git, folder, "rev-parse", "HEAD")
    if not head:
        return None
    changed = _of_git(git, folder, "status", "--porcelain", "--untracked-files=no")
    return head + (", and changes that are not committed" if changed else "")


def _of_git(git: str, folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - git itself, and arguments of our own
            [git, "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    """Versions of what is installed; nothing is imported."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _blas() -> list[str]:
    """The libraries of linear algebra that this process has loaded, each with its version."""
    from threadpoolctl import threadpool_info

    found = {
        " ".join(str(part) for part in (pool.get("internal_api"), pool.get("version")) if part)
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    }
    return sorted(found)
