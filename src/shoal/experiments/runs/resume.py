"""What a run was asked to do, read from its own folder: to go on where the file is not at hand."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from shoal.errors import ArtifactError, ModelError
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import ExpectPart
from shoal.experiments.files.reading import read_experiment
from shoal.experiments.runs.folder import FILE, RunFolder, open_run
from shoal.experiments.runs.order import Order
from shoal.policy import read_yaml
from shoal.run import Progress


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
    about = open_run(path).about
    elsewhere = {name: path / place for name, place in about.get("elsewhere", {}).items()}
    experiment = read_experiment(path / FILE, elsewhere=elsewhere)
    return Order(experiment, bool(about.get("quick")), elsewhere, progress)


def expected_by(folder: RunFolder) -> ExpectPart:
    """What the file of a run expects; its data need not be there.

    Raises
    ------
    ArtifactError
        The file in the folder was changed.
    """
    path = folder.path / FILE
    try:
        content = read_yaml(path, "It is the file of a run, as shoal wrote it")
        return Experiment.model_validate(content).expect
    except (ModelError, ValidationError) as error:
        raise ArtifactError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
