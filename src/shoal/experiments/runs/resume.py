"""What a run was asked to do, read from its own folder: to go on where the file is not at hand."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from shoal.errors import ArtifactError, DataError, ModelError
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import ExpectPart
from shoal.experiments.runs.folder import FILE, RunFolder, open_run
from shoal.experiments.runs.order import Order
from shoal.policy import read_yaml
from shoal.run import Progress

_HINT = "It is the file of a run, as shoal wrote it"


def experiment_in(folder: RunFolder) -> Experiment:
    """The experiment of a run, with all defaults filled in.

    Raises
    ------
    ArtifactError
        The file in the folder was changed.
    """
    path = folder.path / FILE
    try:
        experiment = Experiment.model_validate(read_yaml(path, _HINT))
    except (ModelError, ValidationError) as error:
        raise ArtifactError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    return experiment.within(folder.path / folder.about.get("file_folder", ""))


def order_of(path: Path, progress: Progress) -> Order:
    """Make the order of a run again.

    Parameters
    ----------
    path : Path
        Folder of a run.
    progress : Progress

    Raises
    ------
    ShoalError
        It is no folder of a run, or the files that it names are no longer there.
    """
    folder = open_run(path)
    about = folder.about
    elsewhere = {name: path / place for name, place in about.get("elsewhere", {}).items()}
    experiment = experiment_in(folder)
    if problems := experiment.check(elsewhere):
        raise DataError(f"{path} cannot go on: {'; '.join(p.message for p in problems)}")
    return Order(experiment, bool(about.get("quick")), elsewhere, progress)


def expected_by(folder: RunFolder) -> ExpectPart:
    """What the file of a run expects."""
    return experiment_in(folder).expect
