"""Which settings of one inverse are evaluated: a pattern search, which is cheap and has no chance.

The first inverse of a search gets a grid of all its inner settings. Then, and with every later
inverse, the search steps from the best point known so far to its neighbours along each axis, as
long as one is better, and halves its steps when none is (Hooke and Jeeves, J. ACM 8, 1961).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shoal.base.common_inverse import OUTER
from shoal.base.ranges import Choices, Range
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.space import contains
from shoal.experiments.tuning.special_cases import special_cases

# points of the first grid on each axis, where there is one axis and where there are more
POINTS = {1: 9, 2: 6, 3: 4}
MANY_AXES = 3  # points on each of four axes or more
HALVINGS = 2  # how often the steps are halved
ROUNDS = 6  # the most rounds of neighbours

Point = tuple[Any, ...]


class InnerPoints:
    """The points of one model's inner search, for one inverse.

    Parameters
    ----------
    problem : Problem
    settings : mapping
        λ, p and β of the inverse, and all that is fixed.
    wanted : sequence of mappings
        Settings that are evaluated in any case, such as the defaults.
    start : mapping, optional
        The best settings with inverses before this one; without them, it begins with a grid.
    only_wanted : bool
        Whether nothing else is evaluated: the inverse is not one of the space that was given.
    hopeless_below : float
        If no point of the first round reaches this score, the search of this inverse ends with it.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Mapping[str, Any],
        wanted: Sequence[Mapping[str, Any]] = (),
        start: Mapping[str, Any] | None = None,
        *,
        only_wanted: bool = False,
        hopeless_below: float = -math.inf,
    ) -> None:
        self._axes = {n: v for n, v in problem.space.items() if n not in OUTER}
        defaults = problem.all_settings(settings)
        count = POINTS.get(len(self._axes), MANY_AXES)
        edges = _edges(problem, defaults)
        self._grids = {n: _grid(v, count, edges.get(n, ())) for n, v in self._axes.items()}
        self._steps = {n: _step(v, count) for n, v in self._axes.items()}
        self._wanted = [tuple(one[n] for n in self._axes) for one in wanted]
        self._start = None if start is None else tuple(start[n] for n in self._axes)
        is_inside = all(contains(v, defaults[n]) for n, v in self._axes.items())
        self._middle = tuple(defaults[n] for n in self._axes) if is_inside else None
        self._scores: dict[Point, float] = {}
        self._best: Point | None = None
        self._rounds = self._halvings = 0
        self._only_wanted, self._hopeless_below = only_wanted, hopeless_below
        self._first_best = -math.inf

    def next_points(self) -> list[dict[str, Any]]:
        """The points of the next round; none at the end."""
        if not self._scores:
            return self._as_settings(self._first_round())
        if self._rounds == 0:
            self._first_best = self._scores[self._best_point()]
            if self._first_best < self._hopeless_below:
                return []
        while self._rounds < ROUNDS and not self._only_wanted:
            best = self._best_point()
            if best == self._best:  # no neighbour was better
                if self._halvings == HALVINGS:
                    return []
                self._halvings += 1
                self._steps = {n: step / 2 for n, step in self._steps.items()}
            self._best = best
            self._rounds += 1
            new = [p for p in dict.fromkeys(self._neighbours(best)) if p not in self._scores]
            if new:
                return self._as_settings(new)
        return []

    def learn(self, point: Mapping[str, Any], score: float) -> None:
        """Keep the score of a point."""
        self._scores[tuple(point[n] for n in self._axes)] = score

    @property
    def gain(self) -> float:
        """How much the rounds after the first one have added to the best score; 0 without them."""
        return self._scores[self._best_point()] - self._first_best if self._rounds else 0.0

    def _best_point(self) -> Point:
        return max(self._scores, key=lambda point: self._scores[point])

    def _first_round(self) -> Iterator[Point]:
        yield from self._wanted
        if self._only_wanted:
            return
        if self._start is None:
            if self._middle is not None:
                yield self._middle
            yield from itertools.product(*self._grids.values())
        else:
            yield self._start
            yield from self._neighbours(self._start)

    def _neighbours(self, point: Point) -> Iterator[Point]:
        """One step to both sides on each axis, at most to its ends."""
        for at, (name, values) in enumerate(self._axes.items()):
            grid, here = self._grids[name], point[at]
            if isinstance(values, Choices):
                sides = _adjacent(grid, here)
            else:
                step = self._steps[name]
                ends = grid[0], grid[-1]
                digits = None if values.whole else 4
                sides = [min(max(round(here + s, digits), ends[0]), ends[1]) for s in (-step, step)]
            for side in sides:
                yield (*point[:at], side, *point[at + 1 :])

    def _as_settings(self, points: Iterator[Point] | Sequence[Point]) -> list[dict[str, Any]]:
        return [dict(zip(self._axes, point, strict=True)) for point in dict.fromkeys(points)]


def _edges(problem: Problem, defaults: Mapping[str, Any]) -> dict[str, list[float]]:
    """Values of inner hyper-parameters with which the model is another one, by name."""
    edges: dict[str, list[float]] = {}
    for case in special_cases(problem.kind).values():
        for name, value in case.items():
            if name not in OUTER and problem.admits({**defaults, name: value}):
                edges.setdefault(name, []).append(float(value))
    return edges


def _grid(values: Range | Choices, count: int, more: Sequence[float]) -> list[Any]:
    """The values of one axis in the first grid, ascending where they are numbers."""
    if isinstance(values, Choices):
        return sorted(values.values)
    number = int if values.whole else float
    return sorted({number(values.at(i / (count - 1))) for i in range(count)} | set(more))


def _step(values: Range | Choices, count: int) -> float:
    """Half the distance of two points of the grid."""
    return 0.0 if isinstance(values, Choices) else (values.high - values.low) / (count - 1) / 2


def _adjacent(grid: Sequence[Any], value: Any) -> list[Any]:
    """The choices before and after one."""
    if value not in grid:
        return list(grid)
    at = grid.index(value)
    return [*grid[max(0, at - 1) : at], *grid[at + 1 : at + 2]]
