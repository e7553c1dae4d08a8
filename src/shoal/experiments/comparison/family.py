"""Which family is expected for a log, linear autoencoders or graph filters? A rule of thumb.

The rule is one threshold on one fact of the log. `benchmarks/families` measured it: how often it is
right, for which logs, and where it fails (`docs/comparing.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.entry import CHANCE, Entry
from shoal.experiments.comparison.users import paired_over_seeds
from shoal.experiments.comparison.words import difference, p_value

# the models that the rule was measured with, and their special cases
AUTOENCODERS = ("lae", "ease", "dlae", "edlae", "rlae", "rdlae")
FILTERS = ("gf-cf", "turbo-cf", "rp3beta", "chebycf", "bspm")
NAMES = {"autoencoder": "linear autoencoder", "filter": "graph filter"}
DENSE = 0.01  # share of all pairs of a user and an item from which on autoencoders are expected


@dataclass(frozen=True)
class Family:
    """Which family the rule of thumb expects to be ahead, and whether that is so here.

    Parameters
    ----------
    text : str
        In words; empty where the facts of the log are not known.
    expected : "autoencoder", "filter" or None
    autoencoder, filter : str or None
        Labels of the best model of each family, where one was compared.
    test : Paired or None
        Paired test of the autoencoder's values minus the filter's.
    p : float or None
        Its p-value.
    agrees : bool or None
        Whether the expected family is ahead; None if that could be chance or was not asked.
    """

    text: str = ""
    expected: str | None = None
    autoencoder: str | None = None
    filter: str | None = None
    test: Paired | None = None
    p: float | None = None
    agrees: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        test = {} if self.test is None else self.test.to_dict()
        return {
            "expected": self.expected,
            "autoencoder": self.autoencoder,
            "filter": self.filter,
            "difference": test.get("difference"),
            "ci95": test.get("ci95"),
            "p": self.p,
            "agrees": self.agrees,
            "text": self.text,
        }


def expectation(data: Mapping[str, Any]) -> tuple[str | None, str]:
    """The family that the rule expects for a log, and the fact by which it does.

    Parameters
    ----------
    data : mapping
        Facts of the log.

    Returns
    -------
    "autoencoder", "filter" or None
        None where the fact is not known.
    why : str
    """
    density = data.get("density")
    if not density:
        return None, ""
    expected = "autoencoder" if density >= DENSE else "filter"
    share = 100 * density
    return expected, f"{share:.3g} % of all pairs of a user and an item"


def family_for(entries: Sequence[Entry], metric: str, data: Mapping[str, Any]) -> Family:
    """Name the family that the rule of thumb expects, and compare the best models of both.

    Parameters
    ----------
    entries : sequence of Entry
        Those of which `metric` counts some user, best first.
    metric : str
        The deciding metric.
    data : mapping
        Facts of the log (`shoal.experiments.files.facts.facts_of`); nothing is said without them.
    """
    expected, why = expectation(data)
    if expected is None:
        return Family()
    begin = f"For a log that holds {why}, a rule of thumb expects {NAMES[expected]}s ahead"
    best = {
        family: next((entry for entry in entries if entry.evaluation.model in members), None)
        for family, members in (("autoencoder", AUTOENCODERS), ("filter", FILTERS))
    }
    ours, theirs = best["autoencoder"], best["filter"]
    told = Family(
        begin,
        expected,
        autoencoder=None if ours is None else ours.label,
        filter=None if theirs is None else theirs.label,
    )
    if ours is None or theirs is None:
        missing = " and no ".join(NAMES[f] for f, entry in best.items() if entry is None)
        return replace(told, text=f"{begin}; no {missing} was compared.")
    if metric not in ours.evaluation.per_user:
        text = f"{begin}; that cannot be tested: {metric} has no values per user."
        return replace(told, text=text)
    test = paired_over_seeds(ours.compared, theirs.compared, metric)
    told = replace(told, test=test, p=test.p)
    found = f"{ours.label} minus {theirs.label}: {difference(test)}, {p_value(test.p)}"
    if not test.p < CHANCE:
        return replace(told, text=f"{begin}; here it could be chance ({found}).")
    agrees = (test.difference > 0) == (expected == "autoencoder")
    conclusion = "so it is here" if agrees else "here it is the other way round"
    return replace(told, text=f"{begin}; {conclusion} ({found}).", agrees=agrees)
