"""`compare`: fit several models on one split, and say whether their differences could be chance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import DataError, ShoalError
from shoal.evaluation.evaluate import DEFAULT_METRICS, Evaluation, evaluate
from shoal.evaluation.significance import Paired, holm, paired
from shoal.experiments.leaderboard import leaderboard
from shoal.experiments.tuning.tune import tune
from shoal.experiments.warmup import warm_up
from shoal.models.registry import by_name, create
from shoal.run import Run
from shoal.splitting.held_out import Split


@dataclass(frozen=True)
class Entry:
    """One model of a comparison.

    Parameters
    ----------
    evaluation : Evaluation
        Metrics of the fitted model on the test users.
    fit_seconds : float
        Duration of the final fit; tuning and the compilation of kernels are not counted.
    tune_seconds : float
        Duration of the search for hyper-parameters.
    model_bytes : int
        Size of the fitted arrays.
    against_best : Paired or None
        Paired test of this model's values per user of the deciding metric minus those of the best
        model; None for the best model itself.
    p_adjusted : float or None
        Holm-corrected p-value of that difference.
    """

    evaluation: Evaluation
    fit_seconds: float
    tune_seconds: float
    model_bytes: int
    against_best: Paired | None = None
    p_adjusted: float | None = None

    @property
    def tied(self) -> bool:
        """Whether the difference to the best model could be chance (p ≥ 0.05)."""
        return self.p_adjusted is not None and self.p_adjusted >= 0.05

    def to_dict(self) -> dict[str, Any]:
        """The entry as dictionaries, lists and numbers, for JSON."""
        against = self.against_best
        return self.evaluation.to_dict() | {
            "fit_seconds": round(self.fit_seconds, 3),
            "tune_seconds": round(self.tune_seconds, 3),
            "model_bytes": self.model_bytes,
            "against_best": None
            if against is None
            else {
                "difference": against.difference,
                "ci95": [against.low, against.high],
                "p_holm": self.p_adjusted,
            },
        }


@dataclass(frozen=True)
class Comparison:
    """The outcome of `compare`.

    Parameters
    ----------
    entries : tuple of Entry
        The models that could be fitted, best first by `metric`.
    metric : str
        The metric by which models are ordered: the first one that was asked for.
    protocol : str
        Name of the test data, which says how the log was split.
    refused : dict of str to str
        Models that could not be fitted, by name, and the reason of each.
    models : dict of str to Recommender
        The fitted models by name; empty without ``keep_models``.
    """

    entries: tuple[Entry, ...]
    metric: str
    protocol: str
    refused: dict[str, str]
    models: dict[str, Recommender]

    @property
    def heading(self) -> str:
        """One line: what was held out, and for how many users."""
        if not self.entries:
            return self.protocol
        users = len(self.entries[0].evaluation.users)
        return f"{self.protocol}: {users:,} users, ± standard error"

    def __str__(self) -> str:
        lines = [self.heading, *leaderboard(self.entries)]
        if any(entry.tied for entry in self.entries):
            lines.append(self.about_ties)
        lines += [f"{name} was left out: {why}" for name, why in self.refused.items()]
        return "\n".join([*lines, self.verdict])

    @property
    def about_ties(self) -> str:
        """What the sign behind a model's name means."""
        return f"= the difference to the best by {self.metric} could be chance (p ≥ 0.05)"

    @property
    def verdict(self) -> str:
        """One sentence: which model is best, and which differences to it could be chance."""
        if not self.entries:
            return "No model could be fitted."
        best = self.entries[0]
        name, value = best.evaluation.model, best.evaluation.scores[self.metric]
        tied = [e.evaluation.model for e in self.entries if e.tied]
        text = f"{name} is best by {self.metric} ({value})"
        if tied:
            text += f"; the difference to {', '.join(tied)} could be chance"
        return text + "."

    @property
    def notes(self) -> tuple[str, ...]:
        """How many users and items could not be evaluated, in sentences, each said once."""
        return tuple(dict.fromkeys(note for e in self.entries for note in e.evaluation.notes))

    def to_dict(self) -> dict[str, Any]:
        """The comparison as dictionaries, lists and numbers, for JSON."""
        return {
            "metric": self.metric,
            "protocol": self.protocol,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "models": [e.to_dict() for e in self.entries],
            "refused": self.refused,
        }


def compare(
    split: Split,
    models: Iterable[str | Recommender],
    *,
    metrics: Iterable[str] = DEFAULT_METRICS,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    trials: int = 0,
    keep_models: bool = False,
    run: Run | None = None,
    seen: Callable[[Entry], None] | None = None,
) -> Comparison:
    """Fit several models on one split and evaluate all on the same users.

    Parameters
    ----------
    split : Split
    models : names or unfitted models
    metrics : iterable of str
        The first one orders the models; it must be one with values per user.
    settings : mapping name → hyper-parameters, optional
        For models given by name.
    trials : int
        Tune each model given by name on the validation users, with so many settings; 0 uses the
        defaults.
    keep_models : bool
        Keep the fitted models in the result, which takes the memory of all of them.
    run : Run, optional
    seen : callable, optional
        Called with each entry as soon as its model is evaluated.

    Returns
    -------
    Comparison
        Models that cannot be fitted (too large for the memory budget, an optional package that is
        not installed, a log without the times that they need) are in its `refused`; the others are
        compared.

    Raises
    ------
    ModelError
        There is no such model or hyper-parameter. Raised before the first fit.
    ShoalError
        No model could be fitted: the error of the last one.
    """
    if not isinstance(split, Split):
        raise DataError("compare takes a split first, then the models: compare(split, ['ease', …])")
    run, metric_names, choices = run or Run(), list(metrics), list(models)
    kinds = [by_name(c) if isinstance(c, str) else c for c in choices]
    several_trained = sum(kind.trained for kind in kinds) > 1
    contest = _Contest(split, metric_names, settings or {}, trials, run, several_trained)
    for choice in choices:
        contest.check(choice)
    fitted: dict[str, Recommender] | None = {} if keep_models else None
    entries, refused = _enter_all(contest, choices, fitted, seen)
    return conclude(split, metric_names, entries, refused, fitted)


def conclude(
    split: Split,
    metrics: list[str],
    entries: list[Entry],
    refused: dict[str, str],
    fitted: dict[str, Recommender] | None = None,
) -> Comparison:
    """Order entries and test their differences: also those of a comparison that did not end.

    Parameters
    ----------
    split : Split
    metrics : list of str
    entries : list of Entry
        What ``seen`` of `compare` was called with.
    refused : dict of str to str
    fitted : dict of str to Recommender, optional
    """
    metric = next(iter(entries[0].evaluation.scores)) if entries else metrics[0]
    ranked = _against_best(entries, metric)
    return Comparison(ranked, metric, split.test.name, refused, fitted or {})


def _name_of(choice: str | Recommender) -> str:
    """Name of a model that was given by its name or as an object."""
    return by_name(choice).name if isinstance(choice, str) else choice.name


@dataclass(frozen=True)
class _Contest:
    """What is the same for all models of a comparison.

    Parameters
    ----------
    split : Split
    metrics : list of str
        The first one is also that of the tuning.
    settings : mapping name → hyper-parameters
    trials : int
        Settings that are tried for each model given by name; 0 does not tune.
    run : Run
    several_trained : bool
        Whether more than one model is trained in epochs, and would keep a checkpoint.
    """

    split: Split
    metrics: list[str]
    settings: Mapping[str, Mapping[str, Any]]
    trials: int
    run: Run
    several_trained: bool = False

    def check(self, choice: str | Recommender) -> None:
        """Raise a ModelError if a model given by name does not exist or its settings are wrong."""
        if isinstance(choice, str):
            self._unfitted(choice)

    def fit_and_evaluate(
        self, choice: str | Recommender, fitted: dict[str, Recommender] | None
    ) -> Entry | ShoalError:
        """Fit one model on the training data and evaluate it on the test users.

        Parameters
        ----------
        choice : str or Recommender
        fitted : dict of str to Recommender or None
            The fitted model is added to it; None lets the model go, so that its memory is free
            for the next one.

        Returns
        -------
        Entry, or the ShoalError with which tuning or fitting refused
        """
        model = self._unfitted(choice)
        warm_up(model, self.split.train, self.run, grid=self.trials > 0)
        began = time.perf_counter()
        try:
            if self.trials and isinstance(choice, str):
                model = self._tuned(choice)
            tuned = time.perf_counter()
            model.fit(self.split.train, self.split.validation, self._run_of(model))
        except ShoalError as error:
            return error
        ended = time.perf_counter()
        evaluation = evaluate(model, self.split.test, self.metrics, self.run)
        if fitted is not None:
            fitted[model.name] = model
        model_bytes = sum(array.nbytes for array in model.state().values())
        return Entry(evaluation, ended - tuned, tuned - began, model_bytes)

    def _fixed_settings(self, name: str) -> dict[str, Any]:
        """The hyper-parameters that were given for a model, by its registered name."""
        return dict(self.settings.get(by_name(name).name, {}))

    def _unfitted(self, choice: str | Recommender) -> Recommender:
        """The model itself, or a new one with the settings that were given for its name."""
        if isinstance(choice, Recommender):
            return choice
        return create(choice, self._fixed_settings(choice))

    def _run_of(self, model: Recommender) -> Run:
        """The run of one model, which keeps its checkpoint in a folder of its own."""
        if self.run.checkpoint is None or not self.several_trained:
            return self.run
        return replace(self.run, checkpoint=self.run.checkpoint / model.name)

    def _tuned(self, name: str) -> Recommender:
        """An unfitted model with the settings that are best on the validation users."""
        result = tune(
            by_name(name).name,
            self.split.train,
            self.split.validation,
            trials=self.trials,
            fixed=self._fixed_settings(name),
            metric=self.metrics[0],
            run=self.run,
        )
        return type(result.model)(**result.best.settings)


def _enter_all(
    contest: _Contest,
    choices: list[str | Recommender],
    fitted: dict[str, Recommender] | None,
    seen: Callable[[Entry], None] | None,
) -> tuple[list[Entry], dict[str, str]]:
    """Fit and evaluate all models, one after the other.

    Returns
    -------
    entries : list of Entry
        In the order of the models.
    refused : dict of str to str
        Reason of each model that could not be fitted, by its name.

    Raises
    ------
    ShoalError
        No model could be fitted: the error of the last one.
    """
    entries: list[Entry] = []
    refused: dict[str, str] = {}
    last_refusal: ShoalError | None = None
    with contest.run.progress.step("comparing", len(choices)) as step:
        for choice in choices:
            name = _name_of(choice)
            step.note(name)
            result = contest.fit_and_evaluate(choice, fitted)
            if isinstance(result, ShoalError):
                refused[name], last_refusal = str(result), result
            else:
                entries.append(result)
                if seen is not None:
                    seen(result)
            step.advance()
    if last_refusal is not None and not entries:
        raise last_refusal
    return entries, refused


def _against_best(entries: list[Entry], metric: str) -> tuple[Entry, ...]:
    """Order entries by a metric, best first, and test the others against the best one.

    The p-values of the paired tests are corrected for their number by Holm's method. There are no
    tests if the metric has no values per user.
    """
    ranked = sorted(entries, key=lambda e: -e.evaluation.scores[metric].mean)
    if len(ranked) < 2 or metric not in ranked[0].evaluation.per_user:
        return tuple(ranked)
    tests = [paired(e.evaluation, ranked[0].evaluation, metric) for e in ranked[1:]]
    adjusted = holm([t.p for t in tests])
    others = [
        Entry(e.evaluation, e.fit_seconds, e.tune_seconds, e.model_bytes, t, p)
        for e, t, p in zip(ranked[1:], tests, adjusted, strict=True)
    ]
    return (ranked[0], *others)
