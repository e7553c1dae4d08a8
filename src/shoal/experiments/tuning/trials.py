"""What a search may cost, what it tried, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from shoal.errors import DataError

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
DRAWN = "drawn"


@dataclass(frozen=True)
class Budget:
    """How much a search may cost; what is reached first ends it.

    Parameters
    ----------
    trials : int or None
        How many settings are fitted. Settings that are ranked with an inverse that was made for
        another one are trials too, but cost no fit, and are not counted here.
    minutes : float or None
        A trial that has begun is brought to its end.
    """

    trials: int | None = 20
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.minutes is None:
            raise DataError("a search needs an end: give a number of trials, or minutes")
        if self.trials is not None and self.trials < 1:
            raise DataError(f"trials={self.trials}: give 1 or more")
        if self.minutes is not None and not (self.minutes > 0 and math.isfinite(self.minutes)):
            raise DataError(f"minutes={self.minutes:g}: give a number above 0")


@dataclass(frozen=True)
class Trial:
    """Hyper-parameters that were tried, and their score on the validation users.

    Parameters
    ----------
    settings : dict
        All hyper-parameters of the model.
    score : float
        Higher is better. Of a pruned trial it is the score when it was stopped; −inf if it failed.
    seconds : float
        What this trial cost.
    state : {"complete", "pruned", "failed"}
    source : str
        Where the settings are from: "default", "drawn", "given", or "special case (ease)".
    epochs : int or None
        Epochs that were trained; None for models that do not train.
    """

    settings: dict[str, Any]
    score: float
    seconds: float = 0.0
    state: str = COMPLETE
    source: str = DRAWN
    epochs: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain data for JSON, which has no −inf and no NaN."""
        return asdict(self) | {"score": self.score if math.isfinite(self.score) else None}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Trial:
        """The trial that `to_dict` wrote."""
        score = data["score"]
        return Trial(**{**data, "score": -math.inf if score is None else float(score)})


@dataclass(frozen=True)
class Searched:
    """The outcome of a search.

    Parameters
    ----------
    best : Trial
        The completed trial with the highest score; of equal ones, the first.
    trials : tuple of Trial
        All trials, in the order in which they were proposed.
    metric : str
    importance : dict of str to float
        Share of each hyper-parameter in what the scores differ by; empty if that cannot be told.
    seconds : float
        Duration of the search.
    notes : tuple of str
        What one should know about this search, in sentences.
    inverses : int or None
        How many inverses were made, where several settings were evaluated with each; else None.
    """

    best: Trial
    trials: tuple[Trial, ...]
    metric: str
    importance: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    inverses: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The outcome as plain data for JSON."""
        return {
            "metric": self.metric,
            "best": self.best.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "importance": self.importance,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            "inverses": self.inverses,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Searched:
        """The outcome that `to_dict` wrote."""
        return Searched(
            Trial.from_dict(data["best"]),
            tuple(Trial.from_dict(trial) for trial in data["trials"]),
            data["metric"],
            dict(data["importance"]),
            float(data["seconds"]),
            tuple(data["notes"]),
            data.get("inverses"),
        )


def over_seeds(searches: Sequence[Searched]) -> Searched:
    """The searches of one model with several seeds, as one that cost as much as all of them.

    Parameters
    ----------
    searches : sequence of Searched
        In the order of the seeds; at least one. The best trial and the importance of
        hyper-parameters are those of the first.
    """
    first, inverses = searches[0], [s.inverses for s in searches if s.inverses is not None]
    return replace(
        first,
        trials=tuple(trial for searched in searches for trial in searched.trials),
        seconds=sum(searched.seconds for searched in searches),
        notes=tuple(dict.fromkeys(note for searched in searches for note in searched.notes)),
        inverses=sum(inverses) if inverses else None,
    )


def best_of(trials: tuple[Trial, ...]) -> Trial:
    """The completed trial with the highest score; of equal ones, the first.

    Raises
    ------
    DataError
        No trial was completed, or no user counts for the metric.
    """
    done = [t for t in trials if t.state == COMPLETE and not math.isnan(t.score)]
    if not done:
        raise DataError(
            "no trial gave a score: all of them failed, or the metric counts no validation user"
        )
    return max(done, key=lambda trial: trial.score)
