"""`compare`: several models on one split, what each costs, and whether differences are real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import ShoalError
from shoal.evaluation.evaluate import DEFAULT_METRICS, Evaluation, evaluate
from shoal.evaluation.significance import Paired, holm, paired
from shoal.experiments.tune import tune
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
    fit_seconds : float
        Of the final fit (tuning and compiling not counted).
    tune_seconds : float
    model_bytes : int
        Size of the fitted arrays.
    against_best : Paired or None
        Its first metric minus that of the best model; None for the best itself.
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
        """Whether the difference to the best could be chance (p ≥ 0.05)."""
        return self.p_adjusted is not None and self.p_adjusted >= 0.05

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
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
    """The outcome of `compare`: entries, best first by the first metric.

    Parameters
    ----------
    entries : tuple of Entry
    metric : str
        That decides.
    protocol : str
    refused : dict of str to str
        Models that did not fit the memory budget, and why.
    models : dict of str to Recommender
        The fitted models by name, where they were asked for.
    """

    entries: tuple[Entry, ...]
    metric: str
    protocol: str
    refused: dict[str, str]
    models: dict[str, Recommender]

    @property
    def verdict(self) -> str:
        """One sentence."""
        if not self.entries:
            return "No model could be fitted."
        best = self.entries[0]
        name, value = best.evaluation.model, best.evaluation.scores[self.metric]
        tied = [e.evaluation.model for e in self.entries if e.tied]
        text = f"{name} is best by {self.metric} ({value})"
        if tied:
            text += f"; the difference to {', '.join(tied)} could be chance"
        return text + "."

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "metric": self.metric,
            "protocol": self.protocol,
            "verdict": self.verdict,
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
        The first one decides; it must be one with values per user.
    settings : mapping name → hyper-parameters, optional
    trials : int
        Tune each named model on the validation users with so many settings; 0 takes defaults.
    keep_models : bool
        Keep the fitted models in the result (memory).
    run : Run, optional
    seen : callable, optional
        Called with each entry as soon as it is there.

    Returns
    -------
    Comparison
        Models that refuse (too large for the memory, without their extra, without the times that
        they need) are in its `refused`, and the others are compared.

    Raises
    ------
    ModelError
        A model or a hyper-parameter that is not there; before the first fit.
    ShoalError
        What the last model said, where all refuse.
    """
    run, wanted = run or Run(), list(metrics)
    entries: list[Entry] = []
    last: ShoalError | None = None
    refused: dict[str, str] = {}
    kept: dict[str, Recommender] = {}
    chosen = list(models)
    for one in chosen:  # refuse bad settings before the first fit
        if isinstance(one, str):
            create(one, dict((settings or {}).get(by_name(one).name, {})))
    with run.progress.step("comparing", len(chosen)) as step:
        for one in chosen:
            name = by_name(one).name if isinstance(one, str) else one.name
            given = dict((settings or {}).get(name, {}))
            step.note(name)
            unfitted = one if isinstance(one, Recommender) else create(one, given)
            warm_up(unfitted, split.train, run, grid=trials > 0)
            began = time.perf_counter()
            try:
                if isinstance(one, Recommender):
                    model = one
                elif trials:
                    found = tune(
                        name,
                        split.train,
                        split.validation,
                        trials=trials,
                        fixed=given,
                        metric=wanted[0],
                        run=run,
                    )
                    model = type(found.model)(**found.best.settings)
                    del found
                else:
                    model = unfitted
                tuned = time.perf_counter()
                model.fit(split.train, split.validation, run)
            except ShoalError as error:  # too large, an extra that is missing, no times, …
                refused[name], last = str(error), error
                step.advance()
                continue
            fitted = time.perf_counter()
            entry = Entry(
                evaluate(model, split.test, wanted, run),
                fitted - tuned,
                tuned - began,
                sum(a.nbytes for a in model.state().values()),
            )
            entries.append(entry)
            if keep_models:
                kept[name] = model
            if seen is not None:
                seen(entry)
            step.advance()
    if last is not None and not entries:  # nothing could be compared
        raise last
    metric = next(iter(entries[0].evaluation.scores)) if entries else wanted[0]
    return Comparison(_against_best(entries, metric), metric, split.test.name, refused, kept)


def _against_best(entries: list[Entry], metric: str) -> tuple[Entry, ...]:
    """Sort by the deciding metric, and test every other model against the best."""
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
