"""Which family is expected for a log, linear autoencoders or graph filters? A rule of thumb.

The rule is one threshold on one fact of the log. `benchmarks/families` measured it: how often it is
right, for which logs, and where it fails (`docs/comparing.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.entry import CHANCE, Entry
from shoal.experiments.comparison.users import paired_over_seeds
from shoal.experiments.comparison.words import difference, p_value

# the models that the rule was measured with, and their special cases
AUTOENCODERS = ("lae", "ease", "dlae", "edlae", "rlae", "rdlae")
FILTERS = ("gf-cf", "turbo-cf", "rp3beta", "chebycf", "bspm")
NAMES = {"autoencoder": "linear autoencoder", "filter": "graph filter"}


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
