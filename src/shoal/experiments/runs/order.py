"""What a run is asked to do: an experiment, its models, and where its data are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shoal.base.ranges import Choices, Space
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.tuning.trials import Budget
from shoal.run import Progress, Run, Silent, parse_bytes

QUICK_TRIALS, QUICK_EPOCHS = 2, 2
EPOCHS = "n_epochs"
# what may change in a file without a change of any figure
_NO_FIGURES = ("description", "output", "published", "expect")


@dataclass(frozen=True)
class Order:
    """What a run is asked to do.

    Parameters
    ----------
    experiment : Experiment
    quick : bool
        Prove that the file runs: one seed, two trials, two epochs.
    elsewhere : dict of str to Path
        Data sets, by name, that are somewhere else than the file says.
    progress : Progress
    """

    experiment: Experiment
    quick: bool = False
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    progress: Progress = field(default_factory=Silent)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of splits and fits."""
        return self.experiment.seeds[:1] if self.quick else self.experiment.seeds

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """The models, in the order of the file."""
        entrants = self.experiment.entrants
        return tuple(map(_with_few_epochs, entrants)) if self.quick else entrants

    @property
    def data_names(self) -> list[str]:
        """The names of the data sets, in the order of the file."""
        return [part.label for part in self.experiment.data]

    @property
    def metrics(self) -> list[str]:
        """What is measured; the first metric decides."""
        return list(self.experiment.evaluation.metrics)

    @property
    def budget(self) -> Budget | None:
        """What the search for one model may cost; None where nothing is tuned."""
        tuning = self.experiment.tuning
        if tuning is None:
            return None
        return Budget(QUICK_TRIALS) if self.quick else Budget(tuning.trials, tuning.minutes)

    @property
    def run(self) -> Run:
        """Threads, device, memory and precision."""
        part = self.experiment.run
        return Run(
            device=part.device,
            threads=part.threads,
            memory=None if part.memory is None else parse_bytes(part.memory, "memory"),
            precision=part.precision,
            progress=self.progress,
        )

    @property
    def cells(self) -> int:
        """How many fits there are in the end."""
        return len(self.data_names) * len(self.seeds) * len(self.entrants)

    @property
    def asked(self) -> dict[str, Any]:
        """All that figures depend on, as plain data: a run goes on only where it is the same.

        Policy files are in it by what they say, data by their names: what the data are is told by
        their hashes.
        """
        told = self.experiment.model_dump(mode="json", exclude=set(_NO_FIGURES))
        told["seeds"] = list(self.seeds)
        told["models"] = [_told(entrant) for entrant in self.entrants]
        if self.quick:
            told["quick"] = True
        plain: dict[str, Any] = json.loads(json.dumps(told, default=str))
        return plain


def fingerprint(asked: Mapping[str, Any]) -> str:
    """The sha256 of what a run is asked to do."""
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _with_few_epochs(entrant: Entrant) -> Entrant:
    """The same model with two epochs, if it is trained in epochs."""
    if EPOCHS not in entrant.kind.model_fields:
        return entrant
    space: Space | None = entrant.space and {n: s for n, s in entrant.space.items() if n != EPOCHS}
    return replace(entrant, settings={**entrant.settings, EPOCHS: QUICK_EPOCHS}, space=space)


def _told(entrant: Entrant) -> dict[str, Any]:
    """A model as plain data."""
    space = {
        name: list(values.values) if isinstance(values, Choices) else vars(values)
        for name, values in (entrant.space or {}).items()
    }
    return {
        "label": entrant.label,
        "model": entrant.kind.name,
        "set": dict(entrant.settings),
        "searched": space or None,
        "tune": entrant.tune,
    }
