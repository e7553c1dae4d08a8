"""Settings that numba and OpenMP read from the environment once, so they are made before both.

Importing this module makes them; `compiling` and `threads` do so before they import numba.
"""

from __future__ import annotations

import os
import warnings

# Threads that wait for others sleep. By default they look again and again, and on a machine that is
# busy with something else they take the time from the very thread that they wait for.
PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def wait_passively() -> None:
    """Let the threads of OpenMP sleep while they wait, unless the user has set how they wait."""
    if not any(name in os.environ for name in PASSIVE):
        os.environ.update(PASSIVE)


def replace_impossible_threads() -> None:
    """Replace a number of threads below 1, with which numba cannot be imported, by 1."""
    text = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    try:
        count = int(text)
    except ValueError:  # not set, or no number, of which numba itself warns
        return
    if count < 1:
        os.environ["NUMBA_NUM_THREADS"] = "1"
        warnings.warn(
            f"NUMBA_NUM_THREADS={text} in the environment is taken as 1: set 1 or more, or remove "
            "it for as many threads as there are cores",
            stacklevel=2,
        )


wait_passively()
replace_impossible_threads()
