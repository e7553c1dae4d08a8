"""Searches for the hyper-parameters of a comparison's models, which share what they can."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from shoal.errors import ShoalError
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.search import (
    Sampler,
    search,
    search_family,
    shares_inverses,
    usual_sampler,
)
from shoal.experiments.tuning.special_cases import special_cases, with_special_cases
from shoal.experiments.tuning.trials import Budget, Searched
from shoal.run import Run
from shoal.splitting.held_out import Split


def search_together(
    entrant: Entrant,
    entrants: Sequence[Entrant],
    parts: Split,
    metric: str,
    *,
    budget: Budget,
    sampler: Sampler | None = None,
    run: Run | None = None,
    storage: Path | None = None,
    study: str | None = None,
    known: Mapping[str, Searched] | None = None,
    underway: frozenset[str] = frozenset(),
) -> dict[str, Searched]:
    """Search the hyper-parameters of an entrant and, at once, of those that share its inverses.

    Parameters
    ----------
    entrant : Entrant
    entrants : sequence of Entrant
        All of the comparison.
    parts : Split
        Its training data and validation users are used.
    metric : str
        Which decides.
    budget : Budget
        Of each entrant.
    sampler : {"tpe", "random"}, optional
        Optuna's where that is installed, unless given.
    run : Run, optional
    storage : Path, optional
        An SQLite file that keeps the trials.
    study : str, optional
        The name there of a search of this entrant alone; its label, unless given.
    known : mapping label → Searched, optional
        Searches that are done. Their best settings are among the trials of an entrant that contains
        their model as a special case.
    underway : frozenset of str, optional
        Labels of the entrants whose searches wait for this one, and are not begun by it.

    Returns
    -------
    dict of str to Searched
        By label; of `entrant`, and of others that need no search of their own any more.

    Raises
    ------
    ShoalError
        The entrant cannot be searched.
    """
    known, sampler = dict(known or {}), sampler or usual_sampler()
    group = [e for e in _sharing(entrant, entrants) if e.label not in known.keys() | underway]
    underway |= {e.label for e in group}
    # a model that contains others is searched after them, since their best are among its trials
    found: dict[str, Searched] = {}
    for other in _contained(group, entrants):
        if other.label not in known.keys() | found.keys() | underway:
            with contextlib.suppress(ShoalError):  # said when it is that one's turn
                found |= search_together(
                    other, entrants, parts, metric, budget=budget, sampler=sampler, run=run,
                    storage=storage, known=known | found, underway=underway,
                )  # fmt: skip
    own: dict[str, Searched] = {}
    if len(group) > 1:
        try:
            by_name = search_family(
                [e.kind for e in group],
                parts.train,
                parts.validation,
                budget=budget,
                spaces={e.kind.name: e.space for e in group if e.space is not None},
                fixed={e.kind.name: e.settings for e in group},
                metric=metric,
                sampler=sampler,
                storage=storage,
                studies={e.kind.name: e.label for e in group},
                run=run,
            )
            own = {e.label: by_name[e.kind.name] for e in group}
        except ShoalError:  # one of them cannot be fitted: each for itself then
            group = [entrant]
    if not own:
        own[entrant.label] = search(
            entrant.kind,
            parts.train,
            parts.validation,
            budget=budget,
            space=entrant.space,
            fixed=entrant.settings,
            metric=metric,
            sampler=sampler,
            storage=storage,
            study=study or entrant.label,
            run=run,
        )
    by_label = {e.label: e for e in entrants}
    searched = known | found | own
    return found | {
        label: _with_contained(by_label[label], by_label, searched, parts, metric, run)
        for label in own
    }


def _contained(group: Sequence[Entrant], entrants: Sequence[Entrant]) -> list[Entrant]:
    """The entrants, beside a group, whose models are special cases of models in the group."""
    names = {name for entrant in group for name in special_cases(entrant.kind)}
    labels = {entrant.label for entrant in group}
    return [
        e
        for e in entrants
        if e.kind.name in names and e.label not in labels and e.tune and e.searchable
    ]


def _sharing(entrant: Entrant, entrants: Sequence[Entrant]) -> list[Entrant]:
    """The entrants that can be searched with this one by the same inverses, one of each model."""
    if not shares_inverses(entrant.kind, entrant.settings, entrant.space):
        return [entrant]
    chosen = {entrant.kind.name: entrant}
    for other in entrants:
        if other.tune and shares_inverses(other.kind, other.settings, other.space):
            chosen.setdefault(other.kind.name, other)
    return list(chosen.values())


def _with_contained(
    entrant: Entrant,
    by_label: Mapping[str, Entrant],
    searched: Mapping[str, Searched],
    parts: Split,
    metric: str,
    run: Run | None,
) -> Searched:
    """The search of an entrant with the best trials of the models that it contains."""
    names = special_cases(entrant.kind)
    others: dict[str, Searched] = {}
    for label, found in searched.items():
        name = by_label[label].kind.name if label in by_label else ""
        if name in names and (name not in others or found.best.score > others[name].best.score):
            others[name] = found
    if not others:
        return searched[entrant.label]
    problem = Problem.of(
        entrant.kind,
        parts.train,
        parts.validation,
        space=entrant.space,
        fixed=entrant.settings,
        metric=metric,
        run=run,
    )
    return with_special_cases(problem, searched[entrant.label], others)
