"""`Entry`: one model of a comparison over all its seeds, with its place against the best."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from statistics import median
from typing import Any

import numpy as np

from shoal.evaluation.evaluate import Evaluation, Score
from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.groups import by_history
from shoal.experiments.comparison.users import UserValues, user_numbers
from shoal.experiments.tuning.trials import Searched

CHANCE = 0.05  # a difference with a corrected p-value from here on may be chance


@dataclass(frozen=True)
class SeedScore(Score):
    """The mean of a metric over users and seeds.

    Parameters
    ----------
    mean : float
        Mean over users, of whom each counts once: the values of a user who was tested with several
        seeds are averaged first. For metrics without values per user, the mean over seeds.
    se : float or None
        Standard error of the mean over users.
    n_users : int
        Number of different users that the metric counts.
    by_seed : tuple of float
        The mean over the users of each seed.
    spread : float or None
        Standard deviation of `by_seed` (divided by the number of seeds minus 1); None for one seed.
    """

    by_seed: tuple[float, ...] = ()
    spread: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, which has no NaN: a metric that counts no user has no mean."""
        counted = self.n_users > 0 and not np.isnan(self.mean)
        return {
            "mean": self.mean if counted else None,
            "se": self.se,
            "users": self.n_users,
            "by_seed": [None if np.isnan(value) else value for value in self.by_seed],
            "spread": self.spread,
        }


@dataclass(frozen=True)
class Entry:
    """One model of a comparison, over all its seeds.

    Parameters
    ----------
    cells : tuple of Cell
        In the order of the seeds; at least one.
    scores : dict of str to SeedScore
        Over `compared`.
    searched : Searched or None
        Its search for hyper-parameters.
    against_best : Paired or None
        Paired test of this model's values of the deciding metric minus those of the best model;
        None for the best model itself.
    p_adjusted : float or None
        Holm-corrected p-value of that difference.
    notes : tuple of str
    compared : tuple of Cell
        The cells of the seeds over which models are compared: those that all of them have.
    """

    cells: tuple[Cell, ...]
    scores: dict[str, SeedScore]
    searched: Searched | None = None
    against_best: Paired | None = None
    p_adjusted: float | None = None
    notes: tuple[str, ...] = field(default=())
    compared: tuple[Cell, ...] = ()

    @property
    def label(self) -> str:
        """What the tables call the model."""
        return self.cells[0].label

    @property
    def kind(self) -> str:
        """``deep``, ``linear`` or ``baseline``."""
        return self.cells[0].kind

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation with the first seed."""
        return self.cells[0].evaluation

    @property
    def fit_seconds(self) -> float:
        """Duration of a fit: the median over seeds, which one disturbed fit changes little."""
        return median(cell.fit_seconds for cell in self.cells)

    @property
    def tune_seconds(self) -> float:
        """Duration of the search for hyper-parameters; 0 if there was none."""
        return 0.0 if self.searched is None else float(self.searched.seconds)

    @property
    def trials(self) -> int:
        """Number of settings that were tried."""
        return 0 if self.searched is None else len(self.searched.trials)

    @property
    def model_bytes(self) -> int:
        """Size of the fitted arrays; the largest of the seeds."""
        return max(cell.model_bytes for cell in self.cells)

    @property
    def peak_bytes(self) -> int | None:
        """Memory that a fit took at most, the largest of the seeds; None if nothing is known."""
        known = [cell.peak_bytes for cell in self.cells if cell.peak_bytes is not None]
        return max(known, default=None)

    @property
    def request_seconds(self) -> float | None:
        """Duration of one recommendation: the median over seeds; None if nothing is known."""
        known = [c.request_seconds for c in self.cells if c.request_seconds is not None]
        return median(known) if known else None

    @property
    def hardware(self) -> str:
        """What the fits ran on; several are joined by ``and``."""
        return " and ".join(dict.fromkeys(cell.hardware for cell in self.cells if cell.hardware))

    @property
    def tied(self) -> bool:
        """Whether the difference to the best model could be chance (p ≥ 0.05)."""
        return self.p_adjusted is not None and self.p_adjusted >= CHANCE

    @property
    def by_history(self) -> list[dict[str, Any]]:
        """The deciding metric by the length of the history, over the compared seeds."""
        metric = next(iter(self.scores))
        cells = [c for c in self.compared if c.history_lengths is not None]
        if not cells or metric not in cells[0].evaluation.per_user:
            return []
        return by_history(
            user_numbers(cells),
            np.concatenate([c.history_lengths for c in cells if c.history_lengths is not None]),
            np.concatenate([c.evaluation.per_user[metric] for c in cells]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The entry as dictionaries, lists and numbers, for JSON."""
        first = self.cells[0]
        popularity = [c.by_popularity for c in self.compared if c.by_popularity]
        return {
            "label": self.label,
            "model": self.evaluation.model,
            "kind": self.kind,
            "settings": first.settings,
            "seeds": [cell.seed for cell in self.cells],
            "metrics": {name: score.to_dict() for name, score in self.scores.items()},
            "fit_seconds": round(self.fit_seconds, 4),
            "tune_seconds": round(self.tune_seconds, 3),
            "trials": self.trials,
            "peak_bytes": self.peak_bytes,
            "model_bytes": self.model_bytes,
            "request_seconds": self.request_seconds,
            "hardware": self.hardware,
            "against_best": self._against_best(),
            "tied": self.tied,
            "facts": first.facts,
            "curve": list(first.curve),
            "by_popularity": reduce(add, popularity).to_dict() if popularity else None,
            "by_history": self.by_history,
            "importance": {} if self.searched is None else dict(self.searched.importance),
            "notes": [*self.notes, *(self.searched.notes if self.searched else ())],
        }

    def _against_best(self) -> dict[str, Any] | None:
        test = self.against_best
        if test is None:
            return None
        return test.to_dict() | {"p_holm": self.p_adjusted}

    def tested(self, against_best: Paired, p_adjusted: float) -> Entry:
        """The same entry with its test against the best."""
        return replace(self, against_best=against_best, p_adjusted=p_adjusted)


def entry_of(
    cells: Sequence[Cell], searched: Searched | None = None, seeds: Container[int] | None = None
) -> Entry:
    """Average the cells of one model over its seeds.

    Parameters
    ----------
    cells : sequence of Cell
        Of one label, in the order of the seeds.
    searched : Searched, optional
    seeds : container of int, optional
        Those over which its scores are; all of its own by default, or if it has none of these.
    """
    compared = tuple(c for c in cells if seeds is None or c.seed in seeds) or tuple(cells)
    scores = {name: _score(name, compared) for name in cells[0].evaluation.scores}
    said = tuple(dict.fromkeys(note for cell in cells for note in cell.evaluation.notes))
    return Entry(tuple(cells), scores, searched, notes=said, compared=compared)


def common_seeds(of_models: Iterable[Sequence[Cell]]) -> list[int]:
    """The seeds that the cells of all models have, ascending."""
    own = [{cell.seed for cell in cells} for cells in of_models]
    return sorted(set.intersection(*own)) if own else []


def _score(metric: str, cells: Sequence[Cell]) -> SeedScore:
    """The mean of a metric over distinct users, and over seeds where it has no users."""
    found = [cell.evaluation.scores[metric] for cell in cells]
    by_seed = tuple(score.mean for score in found)
    known = [mean for mean in by_seed if not np.isnan(mean)]
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
    if len(cells) == 1:
        return SeedScore(found[0].mean, found[0].se, found[0].n_users, by_seed, spread)
    if metric not in cells[0].evaluation.per_user:
        mean = float(np.mean(known)) if known else float("nan")
        return SeedScore(mean, None, found[0].n_users, by_seed, spread)
    values = UserValues.of(cells, metric).means
    mean = float(values.mean()) if values.size else float("nan")
    se = float(values.std(ddof=1) / values.size**0.5) if values.size > 1 else None
    return SeedScore(mean, se, values.size, by_seed, spread)
