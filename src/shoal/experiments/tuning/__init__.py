"""Tuning: choose hyper-parameters by a metric on validation users, never on test users.

`search` tries settings and fits nothing in the end; `tune` also fits the best.
"""

from shoal.experiments.tuning.search import search
from shoal.experiments.tuning.trials import Budget, Searched, Trial
from shoal.experiments.tuning.tune import Tuned, tune

__all__ = ["Budget", "Searched", "Trial", "Tuned", "search", "tune"]
