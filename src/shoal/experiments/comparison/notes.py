"""Notes on a comparison: budgets that differ, special cases, users with short histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.base.ranges import declared
from shoal.base.recommender import Recommender
from shoal.experiments.comparison.entry import Entry, common_seeds
from shoal.experiments.comparison.words import listed
from shoal.experiments.tuning.special_cases import as_settings_of
from shoal.models.registry import models
from shoal.run import how_many

ENOUGH = 10  # users of a group


def notes_on(entries: Sequence[Entry], metric: str) -> tuple[str, ...]:
    """All notes on a comparison, in sentences.

    Parameters
    ----------
    entries : sequence of Entry
        Best first.
    metric : str
        The deciding metric.
    """
    return (
        *budgets(entries),
        *machines(entries),
        *missing_seeds(entries),
        *settings_by_seed(entries),
        *contained(entries, metric),
        *short(entries),
    )


def budgets(entries: Sequence[Entry]) -> list[str]:
    """That models were not tuned alike, where they were not."""
    tunable = [e for e in entries if e.searched is not None or _has_ranges(e)]
    counts = {entry.label: _fits(entry) for entry in tunable}
    if len(set(counts.values())) < 2:
        return []
    return [f"Budgets of tuning differ: {', '.join(map(_budget, tunable))}."]


def _fits(entry: Entry) -> int:
    """How many times a search computed anew: settings that share an inverse cost one fit."""
    if entry.searched is None:
        return 0
    return entry.searched.inverses or entry.trials


def _budget(entry: Entry) -> str:
    """What a search has tried: ``elsa 20 trials``, ``ease 5 inverses for 50 settings``."""
    if entry.searched is not None and entry.searched.inverses is not None:
        inverses = how_many(entry.searched.inverses, "inverse")
        return f"{entry.label} {inverses} for {how_many(entry.trials, 'setting')}"
    return f"{entry.label} {how_many(entry.trials, 'trial') if entry.trials else 'none'}"


def machines(entries: Sequence[Entry]) -> list[str]:
    """That times are not of one machine, where they are not."""
    by_hardware: dict[str, list[str]] = {}
    for entry in entries:
        by_hardware.setdefault(entry.hardware, []).append(entry.label)
    if len(by_hardware) < 2:
        return []
    told = "; ".join(f"{', '.join(labels)} on {name}" for name, labels in by_hardware.items())
    return [f"Times of fits and searches are not of one machine: {told}."]


def missing_seeds(entries: Sequence[Entry]) -> list[str]:
    """Which models were not measured with all seeds."""
    most = max((len(entry.cells) for entry in entries), default=0)
    by_count: dict[int, list[str]] = {}
    for entry in entries:
        if len(entry.cells) < most:
            by_count.setdefault(len(entry.cells), []).append(entry.label)
    found = [
        f"Measured with {count} of {most} seeds: {', '.join(labels)}."
        if len(labels) > 1
        else f"{labels[0]} was measured with {count} of {most} seeds."
        for count, labels in by_count.items()
    ]
    return [*found, *_compared_over(entries)]


def _compared_over(entries: Sequence[Entry]) -> list[str]:
    """Over which seeds models are compared, where some have others."""
    if len({tuple(cell.seed for cell in entry.cells) for entry in entries}) < 2:
        return []
    shared = common_seeds(entry.cells for entry in entries)
    if not shared:
        return ["The models share no seed: the figures of each are over its own."]
    word = "seed" if len(shared) == 1 else "seeds"
    told = listed([str(seed) for seed in shared])
    return [f"All figures are over {word} {told}, which all models share, and so is the verdict."]


def settings_by_seed(entries: Sequence[Entry]) -> list[str]:
    """Which models were tuned to settings that differ by seed."""
    labels = [
        entry.label
        for entry in entries
        if entry.searched and any(c.settings != entry.cells[0].settings for c in entry.cells)
    ]
    if not labels:
        return []
    return [
        f"Tuned anew with each seed, {listed(labels)} had settings that differ by seed: those of "
        "the first are shown. Time and trials of tuning are those of all seeds."
    ]


def contained(entries: Sequence[Entry], metric: str) -> list[str]:
    """Which models score below one that they contain as a special case, and why."""
    found = []
    for entry in entries:
        mean = entry.scores[metric].mean
        above = [
            other.label
            for other in entries
            if mean < other.scores[metric].mean and _contains(entry, other)
        ]
        if not above:
            continue
        if entry.searched is None:
            why = f"with these settings: tuning would try those of {listed(above)} too"
        else:
            why = "since other settings were better on the validation users"
        found.append(f"{entry.label} contains {listed(above)}, and scores below {why}.")
    return found


def short(entries: Sequence[Entry]) -> list[str]:
    """Which model is best for the users with the shortest histories, who may be cold."""
    first = {entry.label: group for entry in entries if (group := _shortest(entry.by_history))}
    known = {label: group for label, group in first.items() if group["mean"] is not None}
    if len(known) < 2 or len({(g["from"], g["to"]) for g in known.values()}) > 1:
        return []
    label, group = max(known.items(), key=lambda pair: float(pair[1]["mean"]))
    best = next(iter(known))
    who = "Cold users" if group["cold"] else "Users with the shortest histories"
    text = f"{who} ({_items(group)}, {group['users']:,} users): {label} {group['mean']:.4f}"
    if label == best:
        return [f"{text} is best there too."]
    return [f"{text} is best there; {best} {known[best]['mean']:.4f}."]


def _shortest(groups: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The group of the shortest histories that has enough users to speak of."""
    return next((group for group in groups if group["users"] >= ENOUGH), None)


def _items(group: Mapping[str, Any]) -> str:
    if group["from"] == group["to"]:
        return how_many(group["from"], "item")
    return f"{group['from']} to {group['to']} items"


def _kind(entry: Entry) -> type[Recommender] | None:
    """The class of an entry's model, if it is registered."""
    return models().get(entry.evaluation.model)


def _has_ranges(entry: Entry) -> bool:
    kind = _kind(entry)
    return kind is not None and bool(declared(kind))


def _contains(entry: Entry, other: Entry) -> bool:
    """Whether a model could have the scores that another one has with its settings."""
    kind, name = _kind(entry), other.evaluation.model
    if kind is None or name not in kind.contains or _kind(other) is None:
        return False
    return as_settings_of(kind, name, other.cells[0].settings) is not None
