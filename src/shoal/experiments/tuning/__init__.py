"""Tuning: choose hyper-parameters by a metric on validation users, never on test users.

`search` tries settings and fits nothing in the end; `search_family` does so for several models of
the closed-form family at once; `tune` also fits the best.
"""

from shoal.experiments.tuning.search import search, search_family, shares_inverses
from shoal.experiments.tuning.special_cases import special_cases, with_special_cases
from shoal.experiments.tuning.trials import Budget, Searched, Trial
from shoal.experiments.tuning.tune import Tuned, tune

__all__ = [
    "Budget",
    "Searched",
    "Trial",
    "Tuned",
    "search",
    "search_family",
    "shares_inverses",
    "special_cases",
    "tune",
    "with_special_cases",
]
