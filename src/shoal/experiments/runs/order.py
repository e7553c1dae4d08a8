"""What a run is asked to do: an experiment, its models, and where its data are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from shoal.errors import DataError
from shoal.executor import Executor
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import PATHS
from shoal.experiments.files.resolved import resolved
from shoal.experiments.runs import quick
from shoal.experiments.tuning.trials import Budget
from shoal.policy import did_you_mean
from shoal.run import Progress, Run, Silent, parse_bytes

# what may change in a file without a change of any figure
_NO_FIGURES = ("description", "output", "published", "expect")


@dataclass(frozen=True)
class Order:
    """What a run is asked to do.

    Parameters
    ----------
    experiment : Experiment
    quick : bool
        Prove that the file runs: one seed, two trials, two epochs, small layers.
    elsewhere : dict of str to Path
        Data sets, by name, that are somewhere else than the file says.
    progress : Progress
    only : tuple of str
        Labels of the models to do now; the others are left for later. All, if there is none.
    executor : Executor or None
        Where it is done; None: in this process.
    """

    experiment: Experiment
    quick: bool = False
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    progress: Progress = field(default_factory=Silent)
    only: tuple[str, ...] = ()
    executor: Executor | None = None

    def __post_init__(self) -> None:
        """Make the experiment small where that is asked."""
        if self.quick:
            object.__setattr__(self, "experiment", quick.quick_experiment(self.experiment))
        labels = [entrant.label for entrant in self.experiment.entrants] if self.only else []
        for label in self.only:
            if label not in labels:
                raise DataError(
                    f"--only {label}: the file has no such model{did_you_mean(label, labels)} "
                    f"(there are: {', '.join(labels)})"
                )

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of splits and fits."""
        return self.experiment.seeds

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """The models, in the order of the file."""
        entrants = self.experiment.entrants
        return tuple(map(quick.quick_entrant, entrants)) if self.quick else entrants

    def does(self, label: str) -> bool:
        """Whether a model is to be done now."""
        return not self.only or label in self.only

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
        return Budget(quick.TRIALS) if self.quick else Budget(tuning.trials, tuning.minutes)

    @property
    def searches(self) -> bool:
        """Whether any of the models that are to be done now is tuned."""
        now = [entrant for entrant in self.entrants if self.does(entrant.label)]
        return any(map(self.experiment.searches, now))

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
            executor=self.executor,
        )

    @property
    def cells(self) -> int:
        """How many fits there are in the end."""
        return len(self.data_names) * len(self.seeds) * len(self.entrants)

    @property
    def cells_now(self) -> int:
        """How many fits there are of the models that are to be done now."""
        return len(self.data_names) * len(self.seeds) * (len(self.only) or len(self.entrants))

    @property
    def asked(self) -> dict[str, Any]:
        """All that figures depend on, as plain data: a run goes on only where it is the same.

        Where data and policy files lie is not part of it: what data are is told by their hashes,
        and what policy files say by the models.
        """
        told = yaml.safe_load(resolved(self.experiment))
        told = {key: part for key, part in told.items() if key not in _NO_FIGURES}
        told["data"] = [
            {key: value for key, value in part.items() if key not in PATHS} for part in told["data"]
        ]
        told["seeds"] = list(self.seeds)
        told["models"] = [self._told(entrant) for entrant in self.entrants]
        told["events"] = list(self.experiment.events)
        if self.quick:
            told["quick"] = True
        plain: dict[str, Any] = json.loads(json.dumps(told, default=str))
        return plain

    def _told(self, entrant: Entrant) -> dict[str, Any]:
        """A model with all its values, and in what the others are searched."""
        searched = entrant.ranges if self.experiment.searches(entrant) else {}
        values = entrant.unfitted().model_dump(mode="json")
        return {
            "name": entrant.label,
            "model": entrant.kind.name,
            "set": {name: value for name, value in values.items() if name not in searched},
            "searched": {name: asdict(values) for name, values in searched.items()},
        }


def fingerprint(asked: Mapping[str, Any]) -> str:
    """The sha256 of what a run is asked to do."""
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
