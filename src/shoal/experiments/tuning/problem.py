"""What is searched: a model, its space, the data and the metric; and the trial that fits once."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shoal import metrics
from shoal.base.composed import Composed
from shoal.base.ranges import Choices, Range, Space
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError, ModelError, TrainingError
from shoal.evaluation.evaluate import evaluate
from shoal.experiments.tuning.halving import Rule, Watch, epochs_of
from shoal.experiments.tuning.space import contains, space_of, told
from shoal.experiments.tuning.trials import COMPLETE, FAILED, PRUNED, Trial
from shoal.run import Run
from shoal.splitting.held_out import HeldOut


@dataclass(frozen=True)
class Problem:
    """What one search is about.

    Parameters
    ----------
    kind : class of a model
    train : Interactions
    validation : HeldOut
    space : mapping of name to Range or Choices
    fixed : dict
        Hyper-parameters that have the same value in all trials.
    metric : str
        Full name; higher is better.
    run : Run
        Without checkpoint and training log, which are for a final fit.
    given_space : bool
        Whether the space was given, or else is what the model declares.
    """

    kind: type[Recommender]
    train: Interactions
    validation: HeldOut
    space: Space
    fixed: dict[str, Any]
    metric: str
    run: Run
    given_space: bool = False

    @staticmethod
    def of(
        kind: type[Recommender],
        train: Interactions,
        validation: HeldOut | None,
        *,
        space: Mapping[str, Range | Choices] | None = None,
        fixed: Mapping[str, Any] | None = None,
        metric: str = "ndcg@100",
        run: Run | None = None,
    ) -> Problem:
        """Check what a search was asked for, before the first fit.

        Raises
        ------
        DataError
            There are no validation users, or no such metric.
        ModelError
            The model predicts ratings, or a setting or a range is not valid for it.
        """
        fixed = dict(fixed or {})
        searched, metric = checked(kind, space, fixed, metric)
        if validation is None:
            raise DataError("tuning needs validation users: split with validation > 0")
        return Problem(
            kind,
            train,
            validation,
            searched,
            fixed,
            metric,
            replace(run or Run(), checkpoint=None, training_log=None),
            given_space=space is not None,
        )

    def admits(self, settings: Mapping[str, Any]) -> bool:
        """Whether settings that were not drawn may be tried: none is fixed at another value.

        Where a space was given they must lie in it; declared ranges are proposals, not limits.
        """
        ours, theirs = self.all_settings(self.fixed), self.all_settings({**self.fixed, **settings})
        for name, value in theirs.items():
            if self.given_space and name in self.space:
                if not contains(self.space[name], value):
                    return False
            elif (self.given_space or name in self.fixed) and value != ours[name]:
                return False
        return True

    def all_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All hyper-parameters of the model with these settings, as a trial names them."""
        return self._settings_of(self.kind(**settings))

    def _settings_of(self, model: Recommender) -> dict[str, Any]:
        """All hyper-parameters of a model, and those of its parts that are searched."""
        if not isinstance(model, Composed):
            return model.model_dump()
        of_parts = {name: model.part_setting(name) for name in self.space if "." in name}
        return {**model.model_dump(), **of_parts}

    def fingerprint(self) -> dict[str, Any]:
        """What makes this search this one, in short texts: data, model, space and metric."""
        history, target = self.validation.history, self.validation.target
        known = self.all_settings(self.fixed)  # as numbers, also where texts were given
        digest = hashlib.sha256()
        for log in (self.train, history, target):
            digest.update(log.fingerprint().encode())
        return {
            "model": self.kind.name,
            "space": told(self.space),
            "fixed": {name: repr(known[name]) for name in sorted(known) if name not in self.space},
            "metric": self.metric,
            "data": digest.hexdigest()[:16],
        }

    def score_of(self, model: Recommender) -> float:
        """The metric of a fitted model on the validation users."""
        return evaluate(model, self.validation, [self.metric], self.run)[self.metric]

    def fit_and_score(
        self, settings: Mapping[str, Any], source: str = "drawn", rule: Rule | None = None
    ) -> Trial:
        """Fit a model with these settings and evaluate it on the validation users.

        A fit that the settings make impossible (the training diverges, a matrix is singular) is a
        failed trial; every other error is raised.

        Parameters
        ----------
        settings : mapping
        source : str
            Where the settings are from.
        rule : Rule, optional
            May end the training of a model that trains epoch by epoch; the trial is then pruned.
        """
        began = time.perf_counter()
        watch, run = None, self.run
        try:
            model = self.kind(**settings)
            if rule is not None and (most := epochs_of(model)):
                watch = Watch(rule, most)
                run = replace(run, after_epoch=watch)
            model.fit(self.train, self.validation, run)
        except (TrainingError, ModelError):
            seconds = time.perf_counter() - began
            return Trial(self.all_settings(settings), -math.inf, seconds, FAILED, source)
        return Trial(
            self._settings_of(model),
            self.score_of(model),
            time.perf_counter() - began,
            PRUNED if watch is not None and watch.stopped else COMPLETE,
            source,
            int(model.facts["epochs"]) if "epochs" in model.facts else None,
        )


def checked(
    kind: type[Recommender],
    space: Mapping[str, Range | Choices] | None,
    fixed: Mapping[str, Any],
    metric: str,
) -> tuple[Space, str]:
    """The space of a search and the full name of its metric; what is wrong needs no data.

    Raises
    ------
    DataError
        There is no such metric, or higher is not better.
    ModelError
        The model predicts ratings, or a setting or a range is not valid for it.
    """
    if kind.task != "ranking":
        raise ModelError(
            f"{kind.name} predicts ratings, and tuning is by metrics of rankings: try settings "
            'with evaluate_ratings(model, split, part="validation")'
        )
    parsed = metrics.parse(metric)
    if parsed.base in ("popularity", "gini"):
        raise DataError(
            f"{metric} is no aim of a search: higher is not better. Take ndcg@100 or recall@20"
        )
    kind(**fixed)  # refuses bad settings
    return space_of(kind, space, fixed), str(parsed)
