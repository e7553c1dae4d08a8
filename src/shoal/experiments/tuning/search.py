"""`search`: try settings of a model within a budget, and keep what came of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from shoal.base.ranges import Choices, Range
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import MissingExtraError, ModelError
from shoal.experiments.tuning import subcatalogue
from shoal.experiments.tuning.closed_form import (
    Member,
    can_share,
    can_share_settings,
    outer,
    share_inverses,
)
from shoal.experiments.tuning.importance import importance
from shoal.experiments.tuning.machines import is_divided
from shoal.experiments.tuning.notes import notes_on
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.proposals import Clock, Drawn, Proposal, Proposals, Question
from shoal.experiments.tuning.space import within_catalogue
from shoal.experiments.tuning.special_cases import defaults_of_special_cases, with_special_cases
from shoal.experiments.tuning.strategies import strategy_of
from shoal.experiments.tuning.subcatalogue import (
    Part,
    as_proposals,
    confirm,
    minutes_of_part,
    pays,
    to_confirm,
)
from shoal.experiments.tuning.trials import Budget, Searched, Trial, best_of
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

Sampler = Literal["tpe", "random"]


def usual_sampler() -> Sampler:
    """Optuna's sampler where Optuna is installed, else chance."""
    return "tpe" if find_spec("optuna") else "random"


def search(
    kind: str | type[Recommender],
    train: Interactions,
    validation: HeldOut | None,
    *,
    budget: Budget | None = None,
    space: Mapping[str, Range | Choices] | None = None,
    fixed: Mapping[str, Any] | None = None,
    metric: str = "ndcg@100",
    sampler: Sampler = "tpe",
    storage: Path | None = None,
    study: str | None = None,
    run: Run | None = None,
    shared: bool = True,
    popular_first: bool = True,
    seen: Callable[[Sequence[Trial]], None] | None = None,
) -> Searched:
    """Try settings of a model on validation users, within a budget.

    Parameters
    ----------
    kind : str or class of a model
    train : Interactions
    validation : HeldOut
        ``split(...).validation``.
    budget : Budget, optional
        20 trials, unless given.
    space : mapping of name to Range or Choices, optional
        All ranges that the model declares for hyper-parameters that are not `fixed`, unless given.
    fixed : mapping, optional
        Hyper-parameters that have the same value in all trials.
    metric : str
        The metric that decides; higher is better.
    sampler : {"tpe", "random"}
        Where the next settings are from: Optuna's tree-structured Parzen estimator, which learns
        from the trials before, or chance.
    storage : Path, optional
        An SQLite file. A study that it holds is continued.
    study : str, optional
        Name of the study in that file; the model's, unless given.
    run : Run, optional
        Its seed is also that of the sampler.
    shared : bool
        Whether settings of the closed-form family share inverses; without, each trial is a fit.
    popular_first : bool
        Whether a catalogue of 8,000 items or more is searched on its 4,000 most popular items
        first, where a fit makes an n × n matrix. The best few settings are then fitted to the
        whole, whose scores decide. The budget's trials are those of the part.
    seen : callable, optional
        Called with trials as they end; those that share a fit come together.

    Returns
    -------
    Searched
        The first trial has the defaults (with `fixed`).

    Raises
    ------
    DataError
        There are no validation users, or no such metric.
    ModelError
        The model predicts ratings, or a setting or a range is not valid for it.
    MissingExtraError
        Optuna is not installed.
    """
    problem = Problem.of(
        by_name(kind) if isinstance(kind, str) else kind,
        train,
        validation,
        space=space,
        fixed=fixed,
        metric=metric,
        run=run,
    )
    plan = Plan(budget or Budget(), sampler, storage, shared, seen, popular_first)
    return plan.carry_out({study or problem.kind.name: problem})[study or problem.kind.name]


def search_family(
    kinds: Sequence[str | type[Recommender]],
    train: Interactions,
    validation: HeldOut | None,
    *,
    budget: Budget | None = None,
    spaces: Mapping[str, Mapping[str, Range | Choices]] | None = None,
    fixed: Mapping[str, Mapping[str, Any]] | None = None,
    metric: str = "ndcg@100",
    sampler: Sampler = "tpe",
    storage: Path | None = None,
    studies: Mapping[str, str] | None = None,
    run: Run | None = None,
) -> dict[str, Searched]:
    """Search several models of the closed-form family at once: each inverse serves all it can.

    Parameters
    ----------
    kinds : names or classes
        Models for which `shares_inverses` is true.
    budget : Budget, optional
        Of each model: it has so many inverses, of which others may have proposed some. The
        minutes of all models together may be used for all of them.
    spaces, fixed : mapping of a model's name to what `search` takes, optional
    train, validation, metric, sampler, storage, run
        As for `search`.
    studies : mapping of a model's name to the name of its study, optional
        The model's own name, unless given.

    Returns
    -------
    dict of str to Searched
        By name of the model.

    Raises
    ------
    ModelError
        Two models have the same name, or one shares no inverses.
    """
    classes = [by_name(kind) if isinstance(kind, str) else kind for kind in kinds]
    problems = {
        kind.name: Problem.of(
            kind,
            train,
            validation,
            space=(spaces or {}).get(kind.name),
            fixed=(fixed or {}).get(kind.name),
            metric=metric,
            run=run,
        )
        for kind in classes
    }
    if len(problems) < len(classes):
        raise ModelError("two models of one search have the same name: search them one by one")
    for name, problem in problems.items():
        if not can_share(problem):
            raise ModelError(f"{name} with these settings shares no inverse: search it by itself")
    names = {name: (studies or {}).get(name, name) for name in problems}
    found = Plan(budget or Budget(), sampler, storage, True).carry_out(
        {names[name]: problem for name, problem in problems.items()}
    )
    return {name: found[study] for name, study in names.items()}


def shares_inverses(
    kind: str | type[Recommender],
    fixed: Mapping[str, Any] | None = None,
    space: Mapping[str, Range | Choices] | None = None,
) -> bool:
    """Whether `search_family` takes a model with these settings."""
    model = by_name(kind) if isinstance(kind, str) else kind
    return can_share_settings(model, fixed or {}, space)


@dataclass(frozen=True)
class Plan:
    """How a search is done, whatever it is about."""

    budget: Budget
    sampler: Sampler
    storage: Path | None
    shared: bool
    seen: Callable[[Sequence[Trial]], None] | None = None
    popular_first: bool = True

    def __post_init__(self) -> None:
        if self.sampler not in ("tpe", "random"):
            raise ModelError(f"sampler={self.sampler!r}: write tpe or random")

    def carry_out(self, problems: Mapping[str, Problem]) -> dict[str, Searched]:
        """Search all problems, which share their data, with one study for each name."""
        if self.popular_first and all(pays(problem) for problem in problems.values()):
            return self._popular_first(problems)
        began = time.perf_counter()
        shares = self.shared and all(
            can_share(problem) and not is_divided(problem) for problem in problems.values()
        )
        proposals: dict[str, Proposals] = {}
        try:
            for name, problem in problems.items():
                proposals[name] = self._proposals(name, problem, shares)
                proposals[name].seen = self.seen
            # what one of several has tried, the others learned from: the times add up
            used = sum(each.seconds_before() for each in proposals.values())
            clock = Clock(self._minutes_of(problems), used)
            if shares:
                members = [Member(problems[name], proposals[name]) for name in problems]
                share_inverses(members, clock)
            else:
                for name, problem in problems.items():
                    strategy_of(problem, proposals[name])(problem, proposals[name], clock)
            seconds = used + time.perf_counter() - began
            found = {
                name: self._outcome(problem, proposals[name], seconds, shares, len(problems))
                for name, problem in problems.items()
            }
            return _with_special_cases(problems, found)
        finally:
            for each in proposals.values():
                each.close()

    def _popular_first(self, problems: Mapping[str, Problem]) -> dict[str, Searched]:
        """Search the most popular items, then fit the best few settings to the whole."""
        began, some = time.perf_counter(), next(iter(problems.values()))
        for problem in problems.values():  # the whole is refused before the part is searched
            run = problem.run
            if run.executor is not None:  # what has no room on a machine is divided
                run = replace(run, memory=sys.maxsize)
            problem.kind(**problem.fixed).check_can_fit(problem.train, run)
        popular = Part.of(some, subcatalogue.ITEMS)
        parts = {name: popular.for_model(problem) for name, problem in problems.items()}
        fewer, seen = minutes_of_part(some, self.budget.minutes), self.seen
        plan = replace(
            self,
            budget=replace(self.budget, minutes=fewer),
            seen=None if seen is None else lambda trials: seen(popular.as_stopped(trials)),
            popular_first=False,
        )
        of_part = {part.study_of(name): part.problem for name, part in parts.items()}
        prepared = time.perf_counter() - began
        searched = plan.carry_out(of_part)
        spent = prepared + max(each.seconds for each in searched.values())
        found = {}
        for name, part in parts.items():
            on_part, minutes = searched[part.study_of(name)], self._minutes_of(problems)
            found[name] = self._confirmed(name, part, on_part, spent, minutes)
            spent = found[name].seconds
        return _with_special_cases(problems, found)

    def _minutes_of(self, problems: Mapping[str, Problem]) -> float | None:
        """The minutes of all problems together."""
        return self.budget.minutes and self.budget.minutes * len(problems)

    def _confirmed(
        self, name: str, part: Part, on_part: Searched, spent: float, minutes: float | None
    ) -> Searched:
        """Fit the best settings of a part, and the defaults, to the whole.

        `spent` is the number of seconds before it, of the `minutes` that there are in all.
        """
        began, problem = time.perf_counter(), part.whole
        stopped = part.as_stopped(on_part.trials)
        groups = to_confirm(problem, stopped)
        question = Question(problem, problem.space, as_proposals(problem, groups), None)
        proposals = self._open(question, name, f"the best of {len(part.chosen):,} popular items")
        proposals.seen = self.seen
        try:
            spent += proposals.seconds_before()
            confirm(problem, proposals, groups, Clock(minutes, spent))
            trials = (*stopped, *proposals.trials())
        finally:
            proposals.close()
        return Searched(
            best_of(trials),
            trials,
            problem.metric,
            on_part.importance,
            spent + time.perf_counter() - began,
            (*on_part.notes, part.note(trials)),
            on_part.inverses,
        )

    def _proposals(self, name: str, problem: Problem, shares: bool) -> Proposals:
        """What gives the settings of one model, and what it tries in any case."""
        space = within_catalogue(problem.space, problem.train.n_items)
        if self.sampler == "random":
            space = problem.space  # the same draws for every catalogue; they are cut afterwards
        required = [Proposal(dict(problem.fixed), "default"), *defaults_of_special_cases(problem)]
        if shares:
            space = outer(space)
            required = [
                replace(one, settings=outer(one.settings) | problem.fixed) for one in required
            ]
        question = Question(problem, space, tuple(required), self.budget.trials)
        return self._open(question, name, "inverses shared" if shares else "a fit for each trial")

    def _open(self, question: Question, name: str, way: str) -> Proposals:
        """Chance, or a study of Optuna."""
        if self.sampler == "random" and self.storage is None:
            return Drawn(question)
        check_optuna()
        from shoal.experiments.tuning.study import Study

        about = question.problem.fingerprint() | {"sampler": self.sampler, "way": way}
        return Study(question, about, name=name, file=self.storage, sampler=self.sampler)

    def _outcome(
        self, problem: Problem, proposals: Proposals, seconds: float, shares: bool, n_models: int
    ) -> Searched:
        """What came of the search of one model."""
        trials, question = proposals.trials(), proposals.question
        inverses = len({question.key(trial.settings) for trial in trials}) if shares else None
        return Searched(
            best_of(trials),
            trials,
            problem.metric,
            importance(trials, problem.space),
            seconds,
            notes_on(trials, question, inverses, n_models),
            inverses,
        )


def _with_special_cases(
    problems: Mapping[str, Problem], found: Mapping[str, Searched]
) -> dict[str, Searched]:
    """Searches on the same data, each with the best of the models among them that it contains."""
    by_model = {problems[name].kind.name: each for name, each in found.items()}
    return {
        name: with_special_cases(problems[name], each, by_model) for name, each in found.items()
    }


def check_optuna() -> None:
    """Refuse a search that needs Optuna where that is not installed.

    Raises
    ------
    MissingExtraError
        It is not installed; the message says what to do.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "a search with Optuna (sampler tpe, or a storage file) needs optuna: "
            "pip install 'shoal[tune]', or take sampler random without a file (in an experiment "
            "file sampler: random)"
        ) from None
