"""`conclude`: order the models of a comparison, test their differences, and say what follows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.evaluation.significance import holm
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.entry import Entry, common_seeds, entry_of
from shoal.experiments.comparison.leaderboard import leaderboard
from shoal.experiments.comparison.notes import notes_on
from shoal.experiments.comparison.users import paired_over_seeds
from shoal.experiments.comparison.verdict import Verdict, judge, no_verdict
from shoal.experiments.comparison.words import not_finished
from shoal.experiments.tuning.trials import Searched
from shoal.run import how_many


@dataclass(frozen=True)
class Comparison:
    """Models that were compared on the same users.

    Parameters
    ----------
    entries : tuple of Entry
        The models that could be fitted, best first by `metric`.
    metric : str
        The metric by which models are ordered: the first one that was asked for.
    protocol : str
        Which says how the log was split.
    refused : dict of str to str
        Models that could not be fitted, by label, and the reason of each.
    models : dict of str to Recommender
        The fitted models of the first seed by label, best first; empty unless they were to be kept.
    seeds : tuple of int
        Those over which the figures are: the seeds that all models have. Where there is none, each
        model's figures are over its own seeds, and these are all seeds.
    unfinished : tuple of str
        Labels of models that were not fitted with all seeds, since the comparison was interrupted.
    data : dict
        The data in short (`describe`).
    published : tuple of dict
        Figures of papers, beside ours.
    general_notes : tuple of str
        What is to be said of the comparison as a whole.
    extras : dict
        What a report shows beside the comparison.
    no_verdict : str
        Why nothing follows from the figures, in a sentence; empty where something does.
    """

    entries: tuple[Entry, ...]
    metric: str
    protocol: str
    refused: dict[str, str]
    models: dict[str, Recommender] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    unfinished: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    published: tuple[dict[str, Any], ...] = ()
    general_notes: tuple[str, ...] = ()
    extras: dict[str, Any] = field(default_factory=dict)
    no_verdict: str = ""

    @property
    def heading(self) -> str:
        """One line: what was held out, for how many users, and over how many seeds."""
        if not self.entries:
            return self.protocol
        seeds = f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        return f"{self.protocol}{seeds}: {how_many(self.n_users, 'user')}, ± standard error"

    @property
    def n_users(self) -> int:
        """Number of different users on whom the best model was evaluated."""
        return self.entries[0].scores[self.metric].n_users if self.entries else 0

    def __str__(self) -> str:
        lines = [self.heading, *leaderboard(self.entries)]
        if any(entry.tied for entry in self.entries):
            lines.append(self.about_ties)
        if len(self.seeds) > 1:
            lines.append(self.about_spread)
        lines += [f"{name} was left out: {why}" for name, why in self.refused.items()]
        return "\n".join([*lines, *self.notes, *self.judgement.lines])

    @property
    def about_ties(self) -> str:
        """What the sign behind a model's name means."""
        return f"= the difference to the best by {self.metric} could be chance (p ≥ 0.05)"

    @property
    def about_spread(self) -> str:
        """What the number behind ~ means."""
        return f"~ standard deviation of the means of {len(self.seeds)} seeds"

    @cached_property
    def judgement(self) -> Verdict:
        """Which model is best, whether that is real, which to ship, and whether depth pays."""
        if self.no_verdict:
            return no_verdict(self.no_verdict)
        if self.unfinished and not self.entries:
            return no_verdict("No model is finished yet.")
        return judge(self.entries, self.metric, self.data)

    def about_unfinished(self, *, later: bool = False) -> list[str]:
        """Which models were not finished, in lines; `later` says that it was on purpose."""
        measured = {entry.label: len(entry.cells) for entry in self.entries}
        return not_finished(self.unfinished, measured, later=later)

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return self.judgement.text

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the comparison, in sentences, each said once."""
        of_entries = (note for entry in self.entries for note in entry.notes)
        found = notes_on(self.entries, self.metric)
        return tuple(dict.fromkeys([*self.general_notes, *found, *of_entries]))

    def per_user_frame(self) -> pl.DataFrame:
        """The values of each user: seed, model (its label), user, history, a column per metric."""
        frames = []
        for entry in self.entries:
            for cell in entry.cells:
                of_whom = (pl.lit(cell.seed).alias("seed"), pl.lit(entry.label).alias("model"))
                frames.append(cell.per_user_frame().select(*of_whom, pl.all()))
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def to_dict(self) -> dict[str, Any]:
        """The comparison as dictionaries, lists and numbers, for JSON."""
        return {
            "data": self.data,
            "protocol": self.protocol,
            "metric": self.metric,
            "metrics": list(self.entries[0].scores) if self.entries else [self.metric],
            "seeds": list(self.seeds),
            "users": self.n_users,
            "models": [e.to_dict() for e in self.entries],
            "refused": self.refused,
            "unfinished": list(self.unfinished),
            "verdict": self.judgement.to_dict(),
            "published": [self._beside_ours(figure) for figure in self.published],
            "notes": list(self.notes),
            "extras": self.extras,
        }

    def _beside_ours(self, figure: Mapping[str, Any]) -> dict[str, Any]:
        """A published figure with ours, where the model and the metric were computed."""
        ours = None
        for entry in self.entries:
            score = entry.scores.get(str(figure["metric"]))
            if entry.label == figure["model"] and score is not None and not np.isnan(score.mean):
                ours = score.mean
        return dict(figure) | {"ours": ours}


def conclude(
    cells: Iterable[Cell],
    searches: Mapping[str, Searched] | None = None,
    *,
    metrics: Sequence[str] = (),
    protocol: str = "",
    refused: Mapping[str, str] | None = None,
    unfinished: Sequence[str] = (),
    models: Mapping[str, Recommender] | None = None,
    data: Mapping[str, Any] | None = None,
    published: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    extras: Mapping[str, Any] | None = None,
    no_verdict: str = "",
) -> Comparison:
    """Order models and test their differences: also those of a comparison that did not end.

    Parameters
    ----------
    cells : iterable of Cell
        In any order; a model may lack seeds. Order, tests and verdict are over the seeds that all
        models have.
    searches : mapping label → Searched, optional
        The searches for hyper-parameters.
    metrics : sequence of str, optional
        What was asked for; needed only where no model could be fitted.
    protocol : str
        How the log was split; by default what the first cell says.
    refused : mapping label → reason, optional
    unfinished : sequence of str
        Labels of models that were not fitted with all seeds.
    models : mapping label → Recommender, optional
        Fitted models to keep in the result.
    data : mapping, optional
        The data in short (`describe`).
    published : sequence of mappings
        Figures of papers: ``model``, ``metric``, ``value``, ``source``, ``note``.
    notes : sequence of str
        What is to be said of the comparison as a whole.
    extras : mapping, optional
        What a report shows beside the comparison.
    no_verdict : str
        Why nothing follows from the figures, if that is so.

    Returns
    -------
    Comparison
    """
    entries = _entries(cells, searches or {})
    metric = next(iter(entries[0].scores)) if entries else next(iter(metrics), "")
    ranked, models = against_best(entries, metric), models or {}
    shared = common_seeds(entry.cells for entry in entries)
    if entries and not shared:
        no_verdict = no_verdict or (
            "There is no verdict yet: the models share no seed, so they are not finished."
        )
    seeds = shared or sorted({cell.seed for entry in entries for cell in entry.cells})
    return Comparison(
        ranked,
        metric,
        protocol or _protocol(entries),
        dict(refused or {}),
        {entry.label: models[entry.label] for entry in ranked if entry.label in models},
        tuple(seeds),
        tuple(unfinished),
        dict(data or {}),
        tuple(dict(figure) for figure in published),
        tuple(notes),
        dict(extras or {}),
        no_verdict,
    )


def _entries(cells: Iterable[Cell], searches: Mapping[str, Searched]) -> list[Entry]:
    """The models of these cells, with scores over the seeds that all of them have."""
    by_label: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        by_label.setdefault(cell.label, []).append(cell)
    shared = common_seeds(by_label.values())
    return [entry_of(own, searches.get(label), shared) for label, own in by_label.items()]


def _protocol(entries: Sequence[Entry]) -> str:
    """How the log was split; without the seed, if that differs between cells."""
    told = {cell.evaluation.protocol for entry in entries for cell in entry.cells}
    if len(told) > 1:
        told = {re.sub(r",? seed \d+", "", protocol) for protocol in told}
    return "; ".join(sorted(told))


def against_best(entries: Sequence[Entry], metric: str) -> tuple[Entry, ...]:
    """Order entries by a metric, best first, and test the others against the best one.

    The p-values of the paired tests are corrected for their number by Holm's method. There are no
    tests if the metric has no values per user. A model whose metric counts nobody comes last.
    """
    ranked = _ranked(entries, metric)
    if len(ranked) < 2 or metric not in ranked[0].evaluation.per_user:
        return tuple(ranked)
    best = ranked[0]
    if not common_seeds(entry.cells for entry in ranked):  # no user was tested with the same seed
        return tuple(ranked)
    tests = [paired_over_seeds(e.compared, best.compared, metric) for e in ranked[1:]]
    adjusted = holm([t.p for t in tests])
    others = [e.tested(t, p) for e, t, p in zip(ranked[1:], tests, adjusted, strict=True)]
    return (best, *others)


def best_by_kind(cells: Iterable[Cell]) -> dict[str, str]:
    """Which model of each kind stands first in the table of these cells.

    Returns
    -------
    dict kind → label
        The kinds "deep", "linear" and "baseline", as far as there are such models; the best first.
    """
    entries = _entries(cells, {})
    best: dict[str, str] = {}
    for entry in _ranked(entries, next(iter(entries[0].scores))) if entries else ():
        best.setdefault(entry.kind, entry.label)
    return best


def _ranked(entries: Iterable[Entry], metric: str) -> list[Entry]:
    """Entries by a metric, best first; those of whom it counts nobody last."""

    def place(entry: Entry) -> float:
        mean = entry.scores[metric].mean
        return float("inf") if np.isnan(mean) else -mean

    return sorted(entries, key=place)
