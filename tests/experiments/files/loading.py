"""All data sets of an experiment at once, as tests look at them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shoal.experiments.files.data import Loaded, load
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.locating import tables_of


def load_data(experiment: Experiment, elsewhere: Mapping[str, Path] | None = None) -> list[Loaded]:
    """Find and read them; `elsewhere` as the command line gives it."""
    given = elsewhere or {}
    files = [tables_of(p, experiment.folder, given.get(p.label)) for p in experiment.data]
    return [load(experiment, *each) for each in zip(experiment.data, files, strict=True)]
