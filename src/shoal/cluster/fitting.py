"""How the fit of a model is divided into tasks, by what its family can share out."""

from __future__ import annotations

from typing import Any

from shoal.base.by_columns import ColumnwiseRecommender
from shoal.base.closed_form import ClosedForm
from shoal.base.deep import DeepRecommender
from shoal.base.recommender import Recommender
from shoal.cluster import closed_form, tiled
from shoal.cluster.columns import fit_by_columns
from shoal.cluster.learned import take_over
from shoal.cluster.one_task import fit_in_one_task
from shoal.executor import Executor
from shoal.run import Run


def fit(
    executor: Executor, model: Recommender, interactions: Any, validation: Any, run: Run
) -> Recommender:
    """Fit a model with an executor; parameters and result as of `Executor.fit`."""
    if isinstance(model, ClosedForm) and closed_form.can_divide(executor, model, interactions, run):
        if tiled.chosen(executor, model, interactions.size, run):
            return tiled.fit(executor, model, interactions, run)
        return take_over(model, closed_form.fit(executor, model, interactions, run), interactions)
    if isinstance(model, ColumnwiseRecommender):
        return fit_by_columns(executor, model, interactions, run)
    if isinstance(model, DeepRecommender) and executor.trains_together:
        from shoal.cluster import training

        return training.fit(executor, model, interactions, validation, run)
    return fit_in_one_task(executor, model, interactions, validation, run)
