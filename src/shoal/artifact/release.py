"""Mapped arrays are given back to the system in small pieces."""

from __future__ import annotations

import mmap
import time
from typing import Any

from shoal.base.recommender import Recommender

_PIECE = 2**24  # bytes; a fraction of a millisecond each


def release_pages(model: Recommender) -> None:
    """Let the system take back the pages of a model that nobody asks any more.

    To end the mapping of a large file takes the system tens of milliseconds, in which this process
    can do nothing else, since Python's lock is held. Afterwards it takes no time. The pages stay
    where other processes use them, and a late reader would find them again, as they are in the
    file. A page that was written to would lose what was written.

    Parameters
    ----------
    model : Recommender
        Loaded with ``mapped=True``; of another model nothing is released.
    """
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    for mapping in {id(m): m for a in model.state().values() if (m := _mapping(a))}.values():
        for begin in range(0, len(mapping), _PIECE):
            mapping.madvise(mmap.MADV_DONTNEED, begin, min(_PIECE, len(mapping) - begin))
            time.sleep(0)  # others may have Python's lock


def _mapping(array: Any) -> mmap.mmap | None:
    """The mapped file that an array stands in."""
    base = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base
