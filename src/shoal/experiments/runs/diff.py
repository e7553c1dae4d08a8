"""What differs between two runs: in file, data, environment, and in the metrics of each model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from shoal.evaluation.significance import Paired
from shoal.experiments.comparison.conclude import Comparison
from shoal.experiments.comparison.entry import Entry
from shoal.experiments.comparison.users import paired_over_seeds
from shoal.experiments.runs.differences import Difference, differences
from shoal.experiments.runs.ending import comparisons_of
from shoal.experiments.runs.folder import DATA, ENVIRONMENT, RunFolder


@dataclass(frozen=True)
class Change:
    """A metric of a model that both runs have.

    Parameters
    ----------
    data, model, metric : str
    before, after : float
        The mean over users in each run; NaN where the metric counts nobody.
    test : Paired or None
        Paired test of after − before over the users whom both runs tested with the same seed; None
        where there is no such user, or the metric has no values per user.
    """

    data: str
    model: str
    metric: str
    before: float
    after: float
    test: Paired | None

    def to_dict(self) -> dict[str, Any]:
        """The change for JSON."""
        return {
            "data": self.data,
            "model": self.model,
            "metric": self.metric,
            "before": self.before,
            "after": self.after,
            "difference": self.after - self.before,
            "paired": None if self.test is None else self.test.to_dict(),
        }


@dataclass(frozen=True)
class RunDiff:
    """What differs between two runs.

    Parameters
    ----------
    file, data, environment : list of Difference
        What they were asked to do, what their data are, and what they ran on.
    settings : list of Difference
        Hyper-parameters of models that both have, as they were fitted.
    changes : list of Change
        Each metric of each model that both have.
    only_before, only_after : list of (data, model)
        Models that one of the two has.
    """

    file: list[Difference]
    data: list[Difference]
    environment: list[Difference]
    settings: list[Difference]
    changes: list[Change]
    only_before: list[tuple[str, str]]
    only_after: list[tuple[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """The difference for JSON."""
        parts = {
            name: [one.to_dict() for one in getattr(self, name)]
            for name in ("file", "data", "environment", "settings", "changes")
        }
        only = ("only_before", "only_after")
        return parts | {name: [list(one) for one in getattr(self, name)] for name in only}


def diff(before: RunFolder, after: RunFolder) -> RunDiff:
    """Compare two runs, which may be of different files.

    Models are matched by the name of the data set and their label.
    """
    old, new = _entries(comparisons_of(before)), _entries(comparisons_of(after))
    common = [name for name in old if name in new]
    settings = {name: (old[name].cells[0].settings, new[name].cells[0].settings) for name in common}
    return RunDiff(
        differences(before.about.get("asked", {}), after.about.get("asked", {})),
        differences(before.read_json_if_there(DATA), after.read_json_if_there(DATA)),
        differences(_environment(before), _environment(after)),
        differences(
            {" ".join(name): both[0] for name, both in settings.items()},
            {" ".join(name): both[1] for name, both in settings.items()},
        ),
        [change for name in common for change in _changes(name, old[name], new[name])],
        [name for name in old if name not in new],
        [name for name in new if name not in old],
    )


def _entries(comparisons: list[Comparison]) -> dict[tuple[str, str], Entry]:
    """All models of a run by data set and label."""
    return {
        (str(comparison.data["name"]), entry.label): entry
        for comparison in comparisons
        for entry in comparison.entries
    }


def _changes(name: tuple[str, str], old: Entry, new: Entry) -> list[Change]:
    found = []
    for metric, score in old.scores.items():
        if metric in new.scores:
            test = _paired(new, old, metric)
            found.append(Change(*name, metric, score.mean, new.scores[metric].mean, test))
    return found


def _paired(new: Entry, old: Entry, metric: str) -> Paired | None:
    if any(metric not in cell.evaluation.per_user for cell in (*new.cells, *old.cells)):
        return None
    try:
        test = paired_over_seeds(new.cells, old.cells, metric)
    except pl.exceptions.PolarsError:  # ids of different kinds: no user is the same
        return None
    return test if test.n_users else None


def _environment(folder: RunFolder) -> dict[str, Any]:
    """What a run ran on, without its command line."""
    told = folder.read_json_if_there(ENVIRONMENT)
    return {name: value for name, value in told.items() if name != "command"}
