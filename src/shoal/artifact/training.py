"""What is kept with a model of its training: time, memory, and the size of its data."""

from __future__ import annotations

import resource
import sys
from typing import Any

from shoal.data.facts import LogFacts

TRAINING = "training"  # the entry beside the metrics of a model folder


def training_facts(log: LogFacts, seconds: float) -> dict[str, Any]:
    """Describe a fit for those who compare versions.

    Parameters
    ----------
    log : Interactions, or a log whose rows are elsewhere
        What the model was fitted to.
    seconds : float
        How long the fit took.

    Returns
    -------
    dict
        ``seconds``; ``peak_bytes``, the memory that the process has taken at most so far, with that
        of reading the log; ``users`` and ``interactions``; and ``trained_until``, the time of the
        newest interaction in seconds since 1970, where the log has times.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    facts = {
        "seconds": round(seconds, 3),
        "peak_bytes": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "users": log.n_users,
        "interactions": len(log),
    }
    if log.latest_time is not None:
        facts["trained_until"] = log.latest_time
    return facts
