"""Proposals of Optuna's tree-structured Parzen estimator, kept in memory or in an SQLite file.

Several processes may work at one study, and any of them may be killed: what they finished stays,
and what a dead process had begun is proposed anew. Each trial of a study holds, besides Optuna's
own values, the settings in full, why they were tried, and all trials that came of them.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from shoal.base.ranges import Choices, Range
from shoal.experiments.tuning.halving import Rule, rule_of
from shoal.experiments.tuning.proposals import Proposal, Proposals, Question
from shoal.experiments.tuning.random import draws
from shoal.experiments.tuning.storage import Storage, open_storage, quiet
from shoal.experiments.tuning.trials import COMPLETE, PRUNED, Trial
from shoal.unfinished import surely_gone, this_process


class Study(Proposals):
    """A study of Optuna, which is continued if it is in the file already.

    Parameters
    ----------
    question : Question
    about : dict of str to Any
        What the study is about, for a later search to compare; see `Problem.fingerprint`.
    name : str
    file : Path, optional
        An SQLite file; without it the study ends with the process.
    sampler : {"tpe", "random"}

    Raises
    ------
    DataError
        The file cannot be used, or holds a study of this name that is about something else.
    """

    def __init__(
        self,
        question: Question,
        about: Mapping[str, Any],
        *,
        name: str,
        file: Path | None = None,
        sampler: str = "tpe",
    ) -> None:
        super().__init__(question)
        self._sampler_name = sampler
        self._distributions = {n: _distribution(v) for n, v in question.space.items()}
        self._storage: Storage = open_storage(file)
        try:
            with self._storage.locked(), quiet():
                self._study = self._storage.study(name, about)
                self._fail_over()
                self._seconds_before = _covered(self._study.get_trials(deepcopy=False))
        except BaseException:
            self.close()
            raise

    # -- what strategies call --------------------------------------------------------------

    def ask(self, *, only_required: bool = False) -> Proposal | None:
        """The required settings that nobody has tried, then those that the sampler proposes."""
        question = self.question
        with self._storage.locked(), quiet():
            self._fail_over()
            trials = self._kept()
            known = {trial.user_attrs["key"] for trial in trials}
            for required in question.required:
                if question.key(required.settings) not in known:
                    return self._begin(required, counts=required is question.required[0])
            count = sum(trial.user_attrs["counts"] for trial in trials)
            if only_required or (question.most is not None and count >= question.most):
                return None
            return self._begin_drawn(self._free_place(trials)) if question.space else None

    def _keep(self, proposal: Proposal, trials: Sequence[Trial]) -> None:
        """Keep them in the study; the best of them is what the sampler learns from."""
        value = _best_score(trials)
        with quiet():
            proposal.handle.set_user_attr("trials", [trial.to_dict() for trial in trials])
            if value is None:
                self._study.tell(proposal.handle, state=TrialState.FAIL)
            else:
                self._study.tell(proposal.handle, value)

    def rivals(self, proposal: Proposal) -> Rule:
        """The trainings of all processes at this study."""
        among_all = rule_of(proposal.handle, self.question.first_rung)

        def behind(epoch: int, best: float) -> bool:
            with quiet():
                return among_all(epoch, best)

        return behind

    def at_rungs(self) -> dict[int, list[float]]:
        """Those of all processes."""
        values: dict[int, list[float]] = {}
        with quiet():
            for trial in self._study.get_trials(deepcopy=False):
                for epoch, best in trial.intermediate_values.items():
                    values.setdefault(epoch, []).append(best)
        return values

    def keep_rungs(self, proposal: Proposal, values: Mapping[int, float]) -> None:
        """Report them to the study."""
        with quiet():
            for epoch, best in values.items():
                proposal.handle.report(best, epoch)

    def drop(self, proposal: Proposal) -> None:
        """Mark it as failed without a trial, so that it does not count."""
        with quiet(), contextlib.suppress(Exception):
            self._study.tell(proposal.handle, state=TrialState.FAIL)

    def claim(self, settings: Mapping[str, Any]) -> Proposal:
        """Begin it; the sampler learns from it if it could have proposed it."""
        drawable = self.question.is_drawable(settings)
        with self._storage.locked(), quiet():
            claimed = self._begin(Proposal(dict(settings)), counts=drawable)
            claimed.handle.set_user_attr("claimed", True)
        return claimed

    def has(self, settings: Mapping[str, Any]) -> bool:
        """Whether they were tried, or are being tried, by any process."""
        with self._storage.locked(), quiet():
            return self.question.key(settings) in {t.user_attrs["key"] for t in self._kept()}

    def trials(self) -> tuple[Trial, ...]:
        """Those of all processes, by the number of their proposal."""
        with quiet():
            kept = self._study.get_trials(deepcopy=False)
        told = (trial.user_attrs.get("trials", ()) for trial in kept)
        return tuple(Trial.from_dict(one) for one in itertools.chain.from_iterable(told))

    def seconds_before(self) -> float:
        """The time that finished trials cover together, however many ran at once."""
        return self._seconds_before

    def close(self) -> None:
        """Close the connections to the file."""
        self._storage.close()

    # -- how Optuna is asked ---------------------------------------------------------------

    def _kept(self) -> list[FrozenTrial]:
        """Trials that were told, or that a living process is at."""
        trials = self._study.get_trials(deepcopy=False)
        return [
            t
            for t in trials
            if "key" in t.user_attrs and (t.state == TrialState.RUNNING or "trials" in t.user_attrs)
        ]

    def _fail_over(self) -> None:
        """Mark what dead processes had begun as failed, so that it is proposed anew."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            began = trial.datetime_start.timestamp() if trial.datetime_start else time.time()
            if surely_gone(trial.user_attrs.get("process", ""), began):
                with contextlib.suppress(ValueError):  # it has just ended
                    self._study.tell(trial.number, state=TrialState.FAIL)

    @staticmethod
    def _free_place(trials: Sequence[FrozenTrial]) -> int:
        """The first place among trials that count which none has: one may have been dropped.

        Draws depend on the place, so what was dropped is drawn again, and nothing twice.
        """
        counted = [t for t in trials if t.user_attrs["counts"]]
        # a study of before does not name places
        taken = {t.user_attrs.get("place", n) for n, t in enumerate(counted)}
        return next(place for place in itertools.count() if place not in taken)

    def _begin_drawn(self, place: int) -> Proposal:
        problem = self.question.problem
        if self._sampler_name == "random":
            every = draws(
                self.question.space, problem.run.seed, problem.fixed, problem.train.n_items
            )
            return self._begin(Proposal(next(itertools.islice(every, place, None))), counts=True)
        self._study.sampler = self._sampler(place)
        trial = self._study.ask(self._distributions)
        settings = dict(problem.fixed) | {
            name: _value(self.question.space[name], trial.params[name])
            for name in self.question.space
        }
        return self._mark(trial, Proposal(settings), counts=True)

    def _begin(self, proposal: Proposal, *, counts: bool) -> Proposal:
        """Begin a trial whose settings the sampler has not chosen."""
        parameters = {}
        if self._distributions and self.question.is_drawable(proposal.settings):
            parameters = self._parameters(proposal.settings)
            self._study.enqueue_trial(parameters)
        else:
            self._study.sampler = optuna.samplers.RandomSampler(0)
        return self._mark(
            self._study.ask(self._distributions if parameters else None), proposal, counts=counts
        )

    def _mark(self, trial: optuna.Trial, proposal: Proposal, *, counts: bool) -> Proposal:
        trial.set_user_attr("process", this_process())
        trial.set_user_attr("settings", proposal.settings)
        trial.set_user_attr("source", proposal.source)
        if counts:
            trial.set_user_attr("place", self._free_place(self._kept()))
        trial.set_user_attr("counts", counts)
        trial.set_user_attr("key", self.question.key(proposal.settings))
        return Proposal(proposal.settings, proposal.source, trial)

    def _sampler(self, place: int) -> optuna.samplers.BaseSampler:
        """A sampler whose draws depend on the seed, the place of the trial and the trials before.

        So a search that was killed and goes on proposes what it would have proposed.
        """
        most = self.question.most or 40
        seed = np.random.SeedSequence([self.question.problem.run.seed, place]).generate_state(1)
        return _TPE(
            self._distributions,
            n_startup_trials=min(10, max(3, most // 2)),
            multivariate=True,
            constant_liar=True,
            warn_independent_sampling=False,
            seed=int(seed[0]),
        )

    def _parameters(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        known = self.question.problem.all_settings(settings)
        return {n: _parameter(v, known[n]) for n, v in self.question.space.items()}


class _TPE(optuna.samplers.TPESampler):
    """The tree-structured Parzen estimator over all parameters together.

    Optuna's own takes the parameters that all trials have in common, and those of special cases,
    which lie outside the ranges, have none.
    """

    def __init__(self, distributions: dict[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._all = {n: d for n, d in sorted(distributions.items()) if not d.single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters."""
        return self._all


def _distribution(values: Range | Choices) -> BaseDistribution:
    if isinstance(values, Choices):
        count = len(values.values)
        if _are_numbers(values):
            return IntDistribution(0, count - 1)  # the place of the number: they have an order
        return CategoricalDistribution(tuple(range(count)))
    log = values.scale == "log"
    if values.whole:
        low, high = math.ceil(values.low), math.floor(values.high)
        return IntDistribution(max(low, 1) if log else low, max(high, low), log=log)
    return FloatDistribution(values.low, values.high, log=log)


def _are_numbers(values: Choices) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values)


def _in_order(values: Choices) -> list[Any]:
    """The choices as their places are numbered."""
    return sorted(values.values) if _are_numbers(values) else list(values.values)


def _value(values: Range | Choices, parameter: Any) -> Any:
    """The value of a hyper-parameter for what Optuna proposed."""
    if isinstance(values, Choices):
        return _in_order(values)[int(parameter)]
    return int(parameter) if values.whole else values.near(parameter)


def _parameter(values: Range | Choices, value: Any) -> Any:
    """What Optuna would have proposed to get this value."""
    if isinstance(values, Choices):
        return _in_order(values).index(value)
    return int(value) if values.whole else float(value)


def _best_score(trials: Sequence[Trial]) -> float | None:
    """The best score among trials, also of those that were stopped early; None without any."""
    scores = [t.score for t in trials if t.state in (COMPLETE, PRUNED) and math.isfinite(t.score)]
    return max(scores, default=None)


def _covered(trials: Sequence[FrozenTrial]) -> float:
    """Seconds in which at least one of these finished trials was running."""
    extents = sorted(
        (t.datetime_start.timestamp(), t.datetime_complete.timestamp())
        for t in trials
        if t.datetime_start
        and t.datetime_complete
        and "trials" in t.user_attrs
        and "claimed" not in t.user_attrs  # its time is that of the fit for another model
    )
    total, until = 0.0, -math.inf
    for begin, end in extents:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
