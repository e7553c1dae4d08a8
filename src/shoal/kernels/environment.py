"""Settings that numba and OpenMP read from the environment once, so they are made before both.

Importing this module makes them; `compiling` and `threads` do so before they import numba.
"""

from __future__ import annotations

import os

from shoal.errors import ThreadsError

# Threads that wait for others sleep. By default they look again and again, and on a machine that is
# busy with something else they take the time from the very thread that they wait for.
PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def wait_passively() -> None:
    """Let the threads of OpenMP sleep while they wait, unless the user has set how they wait."""
    if not any(name in os.environ for name in PASSIVE):
        os.environ.update(PASSIVE)


def check_numba_threads() -> None:
    """Refuse a number of threads with which numba cannot be imported.

    Raises
    ------
    ThreadsError
        NUMBA_NUM_THREADS is a whole number below 1.
    """
    text = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    try:
        count = int(text)
    except ValueError:  # not set, or no number, of which numba itself warns
        return
    if count < 1:
        raise ThreadsError(
            f"NUMBA_NUM_THREADS={text} in the environment: set 1 or more, or remove it "
            "for as many threads as there are cores"
        )


wait_passively()
check_numba_threads()
