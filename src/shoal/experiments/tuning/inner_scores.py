"""Scores on the validation users of many settings of the closed-form family that share an inverse.

Users are scored block by block. Beyond P, n_items² float32, this takes two blocks of scores (of
256 MB each at most, less if the memory budget is small), a third where there are low-pass filters,
and one number per user and setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shoal import metrics
from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import CommonInverse, Scaling
from shoal.base.weights import best_of_scores
from shoal.evaluation.evaluate import has_values_per_user, refuse_long_lists, values_per_user
from shoal.experiments.tuning.problem import Problem
from shoal.inference.ranking import barred_items
from shoal.kernels.arrays import Double
from shoal.kernels.threads import use_threads
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

_BLOCK_BYTES = 256_000_000  # bytes of scores in a block of users


def inner_scores(
    inverse: CommonInverse | None,
    problems: Sequence[Problem],
    settings: Sequence[dict[str, Any]],
    known: dict[bytes, float],
) -> list[float]:
    """Score settings that need the same inverse.

    Parameters
    ----------
    inverse : CommonInverse or None
        None where the models solve for users; they are then fitted by `fit_grid`.
    problems : sequence of Problem
        Of each setting; they differ in the model, and share data, metric and run.
    settings : sequence of dict
        Hyper-parameters, valid for the model of their problem.
    known : dict
        Scores by `Scaling.key`, which are read and added to: models that give the same scores are
        evaluated once.

    Returns
    -------
    list of float
    """
    first = problems[0]
    metric = metrics.parse(first.metric)
    if inverse is None or not has_values_per_user(metric):
        return _by_fit_grid(problems, settings)
    scalings: list[Scaling] = []
    for problem, one in zip(problems, settings, strict=True):
        model = problem.kind(**one)
        assert isinstance(model, ClosedForm)
        scalings.append(inverse.scaling(model))
    new: dict[bytes, Scaling] = {s.key: s for s in scalings if s.key not in known}
    if new:
        values = _values(inverse, list(new.values()), first.validation, metric, first.run)
        for key, row in zip(new, values, strict=True):
            counted = row[~np.isnan(row)]
            known[key] = float(counted.mean()) if counted.size else float("nan")
    return [known[scaling.key] for scaling in scalings]


def _values(
    inverse: CommonInverse,
    scalings: Sequence[Scaling],
    held_out: HeldOut,
    metric: metrics.Metric,
    run: Run,
) -> Double:
    """The metric of each setting for each user, (n_settings, n_users) float64."""
    n_items = len(inverse.P)
    refuse_long_lists([metric], n_items)
    allowed = inverse.system.log.item_counts > 0
    if held_out.candidates is not None:
        allowed = allowed & held_out.candidates
    room = min(_BLOCK_BYTES, run.memory_budget // 8)
    size = max(1, room // (4 * n_items))
    values = np.empty((len(scalings), held_out.n_users))
    with use_threads(run.threads):
        for begin in range(0, held_out.n_users, size):
            users = np.arange(begin, min(held_out.n_users, begin + size))
            block = replace(
                held_out,
                history=held_out.history.take_users(users),
                target=held_out.target.take_users(users),
            )
            histories = block.history.matrix
            barred = barred_items(histories, None)
            for index, scores in inverse.scores_of_unseen(histories, scalings):
                lists, _ = best_of_scores(scores, metric.k, barred, allowed)
                values[index, users] = values_per_user(metric, lists, block)
    return values


def _by_fit_grid(problems: Sequence[Problem], settings: Sequence[dict[str, Any]]) -> list[float]:
    """Score each setting with a fitted model; those of one model share what they can."""
    scores: dict[int, float] = {}
    for kind in dict.fromkeys(problem.kind for problem in problems):
        places = [i for i, problem in enumerate(problems) if problem.kind is kind]
        problem = problems[places[0]]
        fitted = kind.fit_grid(
            [settings[i] for i in places], problem.train, problem.validation, problem.run
        )
        for at, model in fitted:
            scores[places[at]] = problem.score_of(model)
    return [scores[i] for i in range(len(settings))]
