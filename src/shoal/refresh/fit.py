"""A model of everything: fitted, or got by an update from one that was fitted to a part."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.changes import changed_users
from shoal.data.interactions import Interactions
from shoal.errors import MemoryBudgetError, ModelError
from shoal.run import Run


def fitted_to_all(
    unfitted: Recommender,
    fitted: Recommender | None,
    before: Interactions | None,
    log: Interactions,
    run: Run,
) -> tuple[Recommender, int]:
    """A model of a whole log; and the number of rows by which it was updated, 0 after a fit.

    Parameters
    ----------
    unfitted : Recommender
    fitted : Recommender or None
        The same model, fitted to a part of the log. It is updated where the model can do that and
        where it is less work; if the result is not accurate enough, a fit follows.
    before : Interactions or None
        That part.
    log : Interactions
    run : Run
    """
    if fitted is not None and before is not None:
        old, new = changed_users(before, log)
        rank = sum(int((np.diff(rows.indptr) > 0).sum()) for rows in (old, new))
        if rank and fitted.update_pays(old, new, log):
            with suppress(ModelError, MemoryBudgetError):
                return fitted.update(new, before=old, run=run), rank
    return unfitted.fit(log, None, run), 0
