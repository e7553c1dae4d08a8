"""What a worker learned, given to the model that asked for it."""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import State


def take_over(
    model: Recommender, learned: tuple[State, dict[str, float]], log: Interactions | ShardedLog
) -> Recommender:
    """Give `model` the arrays and facts that a worker learned.

    Arrays in memory that the workers share are copied: that memory ends with the cluster.
    """
    state, facts = learned
    model.restore({name: a if a.flags.writeable else np.array(a) for name, a in state.items()})
    model.take_catalogue(log.catalogue() if isinstance(log, ShardedLog) else log)
    model._facts = dict(facts)
    return model
