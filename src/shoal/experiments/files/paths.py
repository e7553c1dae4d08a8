"""Paths in an experiment file: relative to it, with variables of the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

from shoal.errors import DataError

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def expanded(text: str, folder: Path) -> Path:
    """The path that a text stands for.

    Parameters
    ----------
    text : str
        ``${NAME}`` is a variable of the environment, ``~`` the home folder.
    folder : Path
        What a relative path is relative to.

    Raises
    ------
    DataError
        A variable is not set.
    """
    for name in _VARIABLE.findall(text):
        if not os.environ.get(name):
            raise DataError(
                f"{text} names the variable {name} of the environment, which is not set: set it "
                f"({name}=/a/folder shoal …)"
            )
    filled = _VARIABLE.sub(lambda found: os.environ[found[1]], text)
    return folder.absolute() / Path(filled).expanduser()


def has_variable(text: str) -> bool:
    """Whether a path depends on the environment."""
    return _VARIABLE.search(text) is not None
