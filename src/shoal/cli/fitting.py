"""A fit whose seconds are shown to a person."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender, Validation
    from shoal.cluster.sharded import ShardedLog
    from shoal.data.interactions import Interactions
    from shoal.run import Run


def timed_fit(
    unfitted: Recommender, log: Interactions | ShardedLog, validation: Validation | None, run: Run
) -> tuple[Recommender, float]:
    """Fit a model; gives it and the seconds of the fit, without those of compiling."""
    from shoal.data.interactions import Interactions
    from shoal.experiments.warmup import warm_up

    if isinstance(log, Interactions):
        warm_up(unfitted, log, run)
    began = time.perf_counter()
    fitted = unfitted.fit(log, validation, run)
    return fitted, time.perf_counter() - began
