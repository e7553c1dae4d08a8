"""What a machine says of itself when it is asked whether it is like the others."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from shoal._version import __version__

FOLDER, NOTHING = -1, -2  # what `size` says where there is no file


def software() -> dict[str, str]:
    """The versions that must be the same everywhere, and the files of shoal as a hash."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    return {
        "shoal": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "shoal's files": digest.hexdigest()[:12],
    }


def unlike(
    files: Mapping[str, tuple[str, int]], marks: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The names of files that are not of the size told here, and of marks that are not here."""
    unseen = [name for name, (path, there) in files.items() if size(Path(path)) != there]
    return unseen, [name for name, path in marks.items() if not Path(path).exists()]


def size(path: Path) -> int:
    """The bytes of a file, or `FOLDER`, or `NOTHING`."""
    try:
        return FOLDER if path.is_dir() else path.stat().st_size
    except OSError:
        return NOTHING
