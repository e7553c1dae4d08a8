"""The threads of torch, which have to be there before those of others."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path


def prepare_torch() -> None:
    """Load the OpenMP library that belongs to torch, or torch if it has none of its own.

    A library that is loaded already is used by all that come later, so torch's own has to be there
    before another one's threads start. Nothing happens if torch is loaded or not installed.
    """
    if "torch" in sys.modules:
        return
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return
    libraries = sorted((Path(spec.origin).parent / "lib").glob("libgomp*.so*"))
    try:
        for library in libraries:
            ctypes.CDLL(str(library))
    except OSError:
        libraries = []
    if not libraries:
        with suppress(ImportError):
            import torch  # noqa: F401
