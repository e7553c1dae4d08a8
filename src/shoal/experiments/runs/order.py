"""What a run is asked to do: an experiment, its models, and where its data are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from shoal.base.ranges import Space
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.resolved import resolved
from shoal.experiments.tuning.trials import Budget
from shoal.run import Progress, Run, Silent, parse_bytes

QUICK_TRIALS, QUICK_EPOCHS = 2, 2
EPOCHS = "n_epochs"
PATHS = ("file", "train", "test", "items", "vectors")  # keys of a data set
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
    def resolved(self) -> dict[str, Any]:
        """The experiment file with everything said: values, ranges and defaults.

        Paths are as in the file, relative to its folder, so that it tells nothing of the machine.
        """
        tree: dict[str, Any] = yaml.safe_load(resolved(self.experiment))
        for own, part in zip(self.experiment.data, tree["data"], strict=True):
            part |= {name: getattr(own, name) for name in PATHS if name in part}
        for model in tree["models"]:
            if "policy" in model:
                model["policy"] = os.path.relpath(model["policy"], self.experiment.folder)
        return tree

    @property
    def asked(self) -> dict[str, Any]:
        """All that figures depend on, as plain data: a run goes on only where it is the same.

        What the data are is told by their hashes.
        """
        told = {key: part for key, part in self.resolved.items() if key not in _NO_FIGURES}
        told["seeds"] = list(self.seeds)
        return told | ({"quick": True} if self.quick else {})


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
