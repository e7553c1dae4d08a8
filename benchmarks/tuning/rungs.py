"""When to stop trainings that are behind: learning curves of random settings, searched in replay.

`curve` trains a model with the settings of one number, to its end. `replay` then searches over
these curves in many random orders, as often as one likes, with one rule and another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

import shoal
from benchmarks.harness.data import folder
from benchmarks.harness.results import Row
from shoal.experiments.tuning.halving import FIRST, REDUCTION
from shoal.experiments.tuning.random import draw
from shoal.models.registry import by_name
from shoal.run import Run

MODEL, TRAININGS, ORDERS = "mult-vae", 30, 400
Curve = Sequence[float]


@dataclass(frozen=True)
class Halving:
    """After an n-th of all epochs, and each time they have grown so many times, so many go on."""

    first: int
    reduction: int
    rounded: Callable[[float], int] = math.ceil

    def stops(self, epoch: int, epochs: int, best: float, rungs: dict[int, list[float]]) -> bool:
        """Whether a training that has come to this epoch ends there."""
        rung = max(1, math.ceil(epochs / self.first))
        while rung < epoch:
            rung *= self.reduction
        if rung != epoch or epoch >= epochs:
            return False
        rivals = rungs.setdefault(epoch, [])
        rivals.append(best)
        places = max(1, self.rounded(len(rivals) / self.reduction))
        return best < sorted(rivals, reverse=True)[places - 1]


RULES: dict[str, Halving | None] = {
    "nobody is stopped": None,
    "after 1/27, a third goes on, rounded down": Halving(27, 3, math.floor),
    "after 1/9, a third goes on": Halving(9, 3),
    "after 1/16, a half goes on": Halving(16, 2),
    "after 1/8, a half goes on": Halving(8, 2),
    "after 1/4, a half goes on, rounded down": Halving(4, 2, math.floor),
    f"after 1/{FIRST}, 1/{REDUCTION} goes on (shoal)": Halving(FIRST, REDUCTION),
    "after 1/3, a third goes on": Halving(3, 3),
}


def split_of_the_study() -> shoal.Split:
    """MovieLens-100K, rating ≥ 4, strong generalisation."""
    path = folder("ml-100k") / "interactions.parquet"
    log = shoal.read(path, min_value=4, min_user_items=5)
    return shoal.split(log, "strong", validation=0.15, seed=0)


def settings_of(number: int) -> dict[str, float | int]:
    """Settings drawn from the declared ranges; those of number 0 are the defaults."""
    return draw(by_name(MODEL), number + 1, 0, {})[number]


def curve(number: int) -> Row:
    """The validation NDCG@100 of each epoch of one training; one thread, so the same each time."""
    split, settings = split_of_the_study(), settings_of(number)
    model = by_name(MODEL)(**settings)
    n_epochs = model.model_dump()["n_epochs"]
    model.fit(split.train, split.validation, Run(threads=1))
    values = [round(row["ndcg@100"], 4) for row in model.curve]  # type: ignore[attr-defined]
    return {"settings": settings, "n_epochs": n_epochs, "curve": values}


def replay(curves: Sequence[Curve], epochs: int, rule: Halving | None) -> Row:
    """Search in many random orders, the defaults first.

    Returns
    -------
    dict
        ``epochs``: share of all epochs that it needed. ``lost``: the best of all curves less the
        best of those that came to their end, on average. ``lost_plain``: the same without
        stopping anyone, when as many epochs are used.
    """
    rng, top = np.random.default_rng(1), max(max(one) for one in curves)
    needed, lost, plain = [], [], []
    for _ in range(ORDERS):
        order = [0, *(1 + rng.permutation(len(curves) - 1)).tolist()]
        used, best = _search(curves, order, epochs, rule)
        needed.append(used)
        lost.append(top - best)
        plain.append(top - _plain(curves, order, used))
    total = sum(len(one) for one in curves)
    return {"epochs": mean(needed) / total, "lost": mean(lost), "lost_plain": mean(plain)}


def _search(
    curves: Sequence[Curve], order: Sequence[int], epochs: int, rule: Halving | None
) -> tuple[int, float]:
    """The epochs that a search takes, and the best that was trained to its end."""
    rungs: dict[int, list[float]] = {}
    used, found = 0, 0.0
    for place, index in enumerate(order):
        best = 0.0
        for epoch, value in enumerate(curves[index], 1):
            used, best = used + 1, max(best, value)
            if rule is not None and rule.stops(epoch, epochs, best, rungs) and place:
                break
        else:
            found = max(found, best)
    return used, found


def _plain(curves: Sequence[Curve], order: Sequence[int], epochs: int) -> float:
    """The best of the trainings that come to their end within so many epochs."""
    used, found = 0, max(curves[order[0]])
    for index in order:
        used += len(curves[index])
        if used > epochs:
            break
        found = max(found, *curves[index])
    return found


def table(rows: Sequence[Row]) -> str:
    """What each rule would have needed and lost."""
    curves, epochs = [row["curve"] for row in rows], rows[0]["n_epochs"]
    text = (
        f"\n{MODEL} on MovieLens-100K: {len(rows)} trainings with settings drawn at random, each "
        f"to its end, replayed in {ORDERS} random orders. *Lost*: the best of all less the best "
        "that came to its end, on average; *lost without*: the same if nobody is stopped and as "
        "many epochs are used.\n\n| rule | epochs needed | lost | lost without |\n"
        "|---|---|---|---|\n"
    )
    for name, rule in RULES.items():
        found = replay(curves, epochs, rule)
        text += f"| {name} | {found['epochs']:.0%} | {found['lost']:.4f} | "
        text += f"{found['lost_plain']:.4f} |\n"
    return text
