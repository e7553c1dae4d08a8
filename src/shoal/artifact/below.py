"""Which models and stores lie below a folder that is neither, for those who named one too high."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shoal.artifact.manifest import MANIFEST
from shoal.artifact.pointer import is_store

_MOST_NAMED = 5
_MOST_FOLDERS = 200  # of one folder that are looked at


def is_servable(path: str | Path) -> bool:
    """Whether a folder is a model folder or a store of versions."""
    path = Path(path)
    return (path / MANIFEST).is_file() or is_store(path)


def models_below(path: str | Path, levels: int = 2) -> list[str]:
    """The models and stores in a folder and in its folders, by their names from there.

    Parameters
    ----------
    path : str or Path
    levels : int
        How many folders deep is looked.
    """
    return sorted(path.as_posix() for path in _below(Path(path), Path(), levels))


def told_below(path: str | Path) -> str:
    """What to add to an error about a folder: the models and stores below it; empty without any."""
    names = models_below(path)
    if not names:
        return ""
    rest = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"; below it there are: {', '.join(names[:_MOST_NAMED])}{rest}"


def _below(root: Path, place: Path, levels: int) -> Iterator[Path]:
    try:
        folders = sorted(each for each in (root / place).iterdir() if each.is_dir())
    except OSError:
        return
    for folder in folders[:_MOST_FOLDERS]:
        if folder.name.startswith("."):
            continue
        if is_servable(folder):
            yield place / folder.name
        elif levels > 1:
            yield from _below(root, place / folder.name, levels - 1)
