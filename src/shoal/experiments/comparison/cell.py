"""`Cell`: one model, fitted and evaluated with one seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import polars as pl

from shoal.data.ids import Ids
from shoal.evaluation.evaluate import Evaluation, Score
from shoal.experiments.comparison.groups import ByPopularity, by_history
from shoal.kernels.arrays import Long

USER, HISTORY = "user", "history"  # columns of `per_user_frame` beside those of metrics


@dataclass(frozen=True)
class Cell:
    """One model of a comparison, fitted and evaluated with one seed.

    Parameters
    ----------
    label : str
        Of the entrant.
    kind : {"deep", "linear", "baseline"}
        Whether its scores are no linear function of the history; a baseline has the same scores
        for everyone.
    seed : int
    evaluation : Evaluation
        On the test users; its `parameters` are the hyper-parameters of the fit.
    fit_seconds : float
        Duration of the fit; tuning and the compilation of kernels are not counted.
    model_bytes : int
        Size of the fitted arrays.
    peak_bytes : int or None
        Memory that the fit took at most, beyond what the process held before (`peak_memory`), and
        no less than `model_bytes`.
    request_seconds : float or None
        Median duration of one recommendation (`costs.request_seconds`).
    facts : dict
        Numbers about the fit, as the model gives them.
    curve : tuple of dict
        The learning curve: a row for each epoch; empty if the model is not trained in epochs.
    by_popularity : ByPopularity or None
    history_lengths : (n_users,) int64 or None
        Number of items in the history of each test user, in the order of the evaluation's values.
    hardware : str
        What the fit ran on (`machine.hardware`).
    """

    label: str
    kind: str
    seed: int
    evaluation: Evaluation
    fit_seconds: float
    model_bytes: int
    peak_bytes: int | None = None
    request_seconds: float | None = None
    facts: dict[str, float] = field(default_factory=dict)
    curve: tuple[dict[str, float], ...] = ()
    by_popularity: ByPopularity | None = None
    history_lengths: Long | None = field(default=None, repr=False)
    hardware: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """All hyper-parameters of the fit."""
        return self.evaluation.parameters

    @property
    def by_history(self) -> list[dict[str, Any]]:
        """The first metric by the length of the history (`groups.by_history`)."""
        metric = next(iter(self.evaluation.scores))
        values = self.evaluation.per_user.get(metric)
        if values is None or self.history_lengths is None:
            return []
        users = np.arange(len(values), dtype=np.int32)
        return by_history(users, self.history_lengths, values)

    def per_user_frame(self) -> pl.DataFrame:
        """The values of each user: ``user``, ``history`` (its length), and a column per metric."""
        columns: dict[str, Any] = {USER: self.evaluation.users.series}
        if self.history_lengths is not None:
            columns[HISTORY] = self.history_lengths
        return pl.DataFrame(columns | dict(self.evaluation.per_user))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the values per user (`per_user_frame`)."""
        return {
            "label": self.label,
            "kind": self.kind,
            "seed": self.seed,
            "evaluation": self.evaluation.to_dict(),
            "ids": self.evaluation.users.kind,
            "fit_seconds": self.fit_seconds,
            "model_bytes": self.model_bytes,
            "peak_bytes": self.peak_bytes,
            "request_seconds": self.request_seconds,
            "hardware": self.hardware,
            "facts": self.facts,
            "curve": list(self.curve),
            "by_popularity": self.by_popularity and self.by_popularity.to_dict(),
            "by_history": self.by_history,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], per_user: pl.DataFrame) -> Cell:
        """Make the cell again of what `to_dict` and `per_user_frame` gave."""
        found = data["evaluation"]
        scores = {
            name: Score(
                float("nan") if score["mean"] is None else score["mean"],
                score["se"],
                score["users"],
            )
            for name, score in found["metrics"].items()
        }
        values = {
            name: per_user[name].cast(pl.Float64).to_numpy()
            for name in scores
            if name in per_user.columns
        }
        evaluation = Evaluation(
            found["model"],
            found["parameters"],
            found["protocol"],
            scores,
            values,
            Ids(per_user[USER], cast(Any, data["ids"])),
            found["users_dropped"],
            found["seconds"],
            found["unknown_items"],
            found["unknown_targets"],
            found["fitted_on_other_data"],
        )
        popularity = data["by_popularity"]
        return cls(
            data["label"],
            data["kind"],
            data["seed"],
            evaluation,
            data["fit_seconds"],
            data["model_bytes"],
            data["peak_bytes"],
            data["request_seconds"],
            data["facts"],
            tuple(data["curve"]),
            None if popularity is None else ByPopularity.from_dict(popularity),
            per_user[HISTORY].to_numpy() if HISTORY in per_user.columns else None,
            data["hardware"],
        )
