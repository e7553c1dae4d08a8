"""The rule of thumb: one threshold on one fact of a log, chosen on all logs and on all but one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

from benchmarks.families.grids import AUTOENCODER, FAMILIES, FILTER
from benchmarks.families.sets import KINDS, SETS
from benchmarks.harness.results import Results, Row

SEEDS = (0, 1, 2)
MATTERS = 0.01  # share of the better one's value below which two families are even
FACTS = {
    "density": "density",
    "median_history": "items in a history, median",
    "users_per_item": "users per item, mean",
    "users_by_items": "users divided by items",
    "items": "items",
    "head_share": "share of the top 20 % of items",
    "popularity_gini": "Gini coefficient of popularity",
}


@dataclass(frozen=True)
class Case:
    """One log with one split: its facts, and which family is ahead.

    Parameters
    ----------
    name, kind : str
    facts : dict
    best : dict of str to (str, list of float)
        By family: the label of its best model, and NDCG@20 of each seed.
    """

    name: str
    kind: str
    facts: Row
    best: dict[str, tuple[str, list[float]]]

    @property
    def lead(self) -> float:
        """By how much the best autoencoder is ahead of the best filter, of the larger value."""
        ours, theirs = (mean(self.best[family][1]) for family in (AUTOENCODER, FILTER))
        return (ours - theirs) / max(ours, theirs)

    @property
    def same_sign(self) -> bool:
        """Whether all seeds have the same family ahead."""
        pairs = zip(self.best[AUTOENCODER][1], self.best[FILTER][1], strict=True)
        return len({ours > theirs for ours, theirs in pairs}) == 1

    @property
    def winner(self) -> str | None:
        """The family that is ahead; None if they are even."""
        if abs(self.lead) < MATTERS or not self.same_sign:
            return None
        return AUTOENCODER if self.lead > 0 else FILTER


@dataclass(frozen=True)
class Threshold:
    """An autoencoder at or above a value of one fact (or below it), else a filter."""

    fact: str
    at: float
    above: str
    hits: int

    @property
    def below(self) -> str:
        """The family that it expects below the value."""
        return FILTER if self.above == AUTOENCODER else AUTOENCODER

    def says(self, facts: Row) -> str:
        """The family that it expects."""
        return self.above if facts[self.fact] >= self.at else self.below


def values(results: Results, name: str, kind: str, model: str) -> list[float]:
    """NDCG@20 of each seed; empty if one is missing."""
    rows = [results.get(f"{name}|{kind}|{model}|{seed}") for seed in SEEDS]
    found = [row["metrics"]["ndcg@20"]["mean"] for row in rows if row is not None]
    return found if len(found) == len(SEEDS) else []


def cases(results: Results) -> list[Case]:
    """All logs and splits in which each family has a model with all seeds."""
    found = []
    for kind in KINDS:
        for name in SETS:
            row = results.get(f"{name}|{kind}|facts")
            best: dict[str, tuple[str, list[float]]] = {}
            reached: dict[str, float] = {}
            for model, (family, _) in FAMILIES.items():
                own = values(results, name, kind, model)
                value = _validated(results, name, kind, model)
                # the best of a family is the one that validates best, as a person would choose it
                if own and value > reached.get(family, -1.0):
                    best[family], reached[family] = (model, own), value
            if row is not None and AUTOENCODER in best and FILTER in best:
                facts = row | {
                    "users_per_item": row["interactions"] / row["items"],
                    "users_by_items": row["users"] / row["items"],
                }
                found.append(Case(name, kind, facts, best))
    return found


def _validated(results: Results, name: str, kind: str, model: str) -> float:
    """The validation value of a model's best setting; 0 if there is none."""
    row = results.get(f"{name}|{kind}|{model}|tuned")
    return 0.0 if row is None else max(row["values"])


def choose(decided: Sequence[Case], fact: str) -> Threshold:
    """The threshold of a fact that is right most often; of equal ones the one that loses least.

    What a wrong answer loses is the lead of the other family. Of thresholds that are equal in that
    too, the one in the widest gap is taken.
    """
    known = sorted({case.facts[fact] for case in decided})
    middles = [(b / a if a > 0 else 1.0, (a * b) ** 0.5) for a, b in pairwise(known)]
    tried = [(0.0, known[0]), *middles]  # the first one is: always the same family
    best: tuple[tuple[int, float, float], Threshold] | None = None
    for gap, at in tried:
        for above in (AUTOENCODER, FILTER):
            rule = Threshold(fact, at, above, 0)
            missed = [case for case in decided if rule.says(case.facts) != case.winner]
            hits = len(decided) - len(missed)
            order = hits, -sum(abs(case.lead) for case in missed), gap
            if best is None or order > best[0]:
                best = order, Threshold(fact, at, above, hits)
    assert best is not None
    return best[1]


def left_out(decided: Sequence[Case], fact: str) -> int:
    """Hits on each log (with both splits) by a threshold that was chosen on the other logs."""
    hits = 0
    for name in {case.name for case in decided}:
        rest = [case for case in decided if case.name != name]
        if rest:
            rule = choose(rest, fact)
            own = [case for case in decided if case.name == name]
            hits += sum(rule.says(case.facts) == case.winner for case in own)
    return hits
