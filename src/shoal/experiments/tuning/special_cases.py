"""Models that contain others as special cases, and what that asks of a search.

A model says so itself: `Recommender.contains` names the models whose scores it gives, and the
settings with which it does. So a tuned model is never below one that it contains for want of
trials: the special cases are among its own trials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Proposal
from shoal.experiments.tuning.trials import COMPLETE, Searched, Trial, best_of
from shoal.models.registry import by_name, models


def special_cases(kind: type[Recommender]) -> dict[str, Mapping[str, Any]]:
    """The models that this one contains, with the settings of this one that make it theirs.

    What those contain is contained too. Models of packages that are not installed are left out.
    """
    known = models()
    found: dict[str, Mapping[str, Any]] = {}
    for name, settings in kind.contains.items():
        if name not in known:
            continue
        found.setdefault(name, settings)
        for inner, more in special_cases(known[name]).items():
            found.setdefault(inner, {**settings, **more})
    return found


def as_settings_of(
    kind: type[Recommender], contained: str, settings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The settings with which a model gives the scores of one that it contains.

    Parameters
    ----------
    kind : class of a model
    contained : str
        Name of a model that it contains.
    settings : mapping
        Hyper-parameters of that model.

    Returns
    -------
    dict, or None if that model has a hyper-parameter, not at its default, that this one lacks
    """
    theirs = by_name(contained)(**settings).model_dump()
    ours = dict(special_cases(kind)[contained])
    for name, value in theirs.items():
        if name in kind.model_fields:
            ours.setdefault(name, value)
        elif value != by_name(contained).model_fields[name].default:
            return None
    return ours


def defaults_of_special_cases(problem: Problem) -> Iterator[Proposal]:
    """The defaults of all models that a model contains, as settings of its own."""
    for name in special_cases(problem.kind):
        kind = by_name(name)
        shared = {n: v for n, v in problem.fixed.items() if n in kind.model_fields}
        try:
            settings = as_settings_of(problem.kind, name, shared)
        except ModelError:  # what is fixed is no setting of the special case
            continue
        if settings is not None and problem.admits(settings):
            yield Proposal({**problem.fixed, **settings}, source_of(name))


def source_of(name: str) -> str:
    """How a trial names that it is a special case."""
    return f"special case ({name})"


def with_special_cases(
    problem: Problem, found: Searched, others: Mapping[str, Searched]
) -> Searched:
    """Add the best of the models that a model contains to its trials.

    Parameters
    ----------
    problem : Problem
        Of the model that contains others.
    found : Searched
    others : mapping of name to Searched
        Searches of other models with the same data and the same metric.

    Returns
    -------
    Searched
        With one more trial for each special case whose best score is not among its trials.
    """
    if problem.kind.reads_vectors and not problem.train.item_counts.all():
        return found  # it also ranks items without users, of which the others know nothing
    more: list[Trial] = []
    for name in special_cases(problem.kind):
        other = others.get(name)
        if other is None or other.metric != found.metric or other.best.state != COMPLETE:
            continue
        settings = as_settings_of(problem.kind, name, other.best.settings)
        if settings is None or not problem.admits(settings):
            continue
        whole = problem.all_settings({**problem.fixed, **settings})
        if not any(trial.settings == whole for trial in found.trials):
            more.append(Trial(whole, other.best.score, 0.0, COMPLETE, source_of(name)))
    if not more:
        return found
    trials = (*found.trials, *more)
    names = ", ".join(sorted({trial.source for trial in more}))
    note = f"trials of other searches were taken over, at no cost: {names}"
    return replace(found, best=best_of(trials), trials=trials, notes=(*found.notes, note))
