"""All that is looked at with one inverse: a task, which needs nothing but the data and a wish."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.base.closed_form import ClosedForm
from shoal.base.common_inverse import CommonInverse
from shoal.base.low_pass import LeadingVectors
from shoal.errors import ModelError
from shoal.experiments.tuning.inner_points import InnerPoints
from shoal.experiments.tuning.inner_scores import inner_scores
from shoal.experiments.tuning.problem import Problem


@dataclass(frozen=True)
class Wish:
    """What one model wants of an inverse.

    Parameters
    ----------
    place : int
        Of its problem among those that are searched together.
    settings : dict
        λ, p and β of the inverse as the model names them, and all that is fixed.
    wanted, start, only_wanted, hopeless_below
        As of `InnerPoints`.
    """

    place: int
    settings: dict[str, Any]
    wanted: list[dict[str, Any]]
    start: dict[str, Any] | None
    only_wanted: bool
    hopeless_below: float


@dataclass(frozen=True)
class Point:
    """Settings that were looked at, their score, and the seconds that this took."""

    settings: dict[str, Any]
    score: float
    seconds: float


@dataclass(frozen=True)
class Found:
    """What came of a wish: all points, and by how much the later ones improved on the first."""

    points: list[Point]
    gain: float


def leading_vectors(problems: Sequence[Problem], rank: int) -> LeadingVectors:
    """The singular vectors that low-pass filters of all inverses share, where any has a filter."""
    vectors = LeadingVectors(problems[0].train, problems[0].run, rank)
    if rank:
        vectors.of_rank(rank)  # once, and not by each task
    return vectors


def try_inverse(
    problems: Sequence[Problem],
    vectors: LeadingVectors,
    settings: Mapping[str, Any],
    wishes: Sequence[Wish],
) -> list[Found] | float:
    """Make an inverse, and look at settings with it for one model or several.

    Parameters
    ----------
    problems : sequence of Problem
        With the same data, metric and run.
    vectors : LeadingVectors
    settings : mapping
        Of the model that asked for the inverse; its wish is the first.
    wishes : sequence of Wish

    Returns
    -------
    list of Found
        For each wish; or the seconds that were lost, where the matrix cannot be inverted.
    """
    began = time.perf_counter()
    asking = problems[wishes[0].place]
    model = asking.kind(**settings)
    assert isinstance(model, ClosedForm)
    try:
        inverse = CommonInverse.of(model, asking.train, asking.run, vectors)
    except ModelError:
        return time.perf_counter() - began
    return _look(inverse, problems, wishes, (time.perf_counter() - began) / len(wishes))


def _look(
    inverse: CommonInverse | None,
    problems: Sequence[Problem],
    wishes: Sequence[Wish],
    seconds_of_inverse: float,
) -> list[Found]:
    """Look at settings of all wishes, round by round, all together."""
    searches = [
        InnerPoints(
            problems[wish.place], wish.settings, wish.wanted, wish.start,
            only_wanted=wish.only_wanted, hopeless_below=wish.hopeless_below,
        )
        for wish in wishes
    ]  # fmt: skip
    points: list[list[Point]] = [[] for _ in wishes]
    known: dict[bytes, float] = {}
    while True:
        began = time.perf_counter()
        asked = [(at, inner) for at, one in enumerate(searches) for inner in one.next_points()]
        if not asked:
            break
        settings = [{**wishes[at].settings, **inner} for at, inner in asked]
        scores = inner_scores(
            inverse, [problems[wishes[at].place] for at, _ in asked], settings, known
        )
        each = (time.perf_counter() - began) / len(asked)
        for (at, inner), one, score in zip(asked, settings, scores, strict=True):
            seconds = each + (0.0 if points[at] else seconds_of_inverse)
            searches[at].learn(inner, score)
            points[at].append(Point(one, score, seconds))
    return [Found(one, search.gain) for one, search in zip(points, searches, strict=True)]
