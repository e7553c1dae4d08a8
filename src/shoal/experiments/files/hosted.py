"""A policy file and a log as an experiment: the form that users of hosted recommenders know."""

from __future__ import annotations

import re
from pathlib import Path

from shoal.errors import DataError, ModelError
from shoal.experiments.files.entries import ModelPart
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import DataPart, TuningPart
from shoal.policy import policy_file

TRIALS = 20  # for each model, where the file has ranges and does not say how many


def experiment_of_policies(path: str | Path, log: str | Path) -> Experiment:
    """An experiment with all models of a policy file, on one log.

    Models are tuned if the file has a range or says how much is tried
    (``training.tuning.total_jobs``); all else has its default.

    Parameters
    ----------
    path : str or Path
        The policy file; the experiment has its name.
    log : str or Path
        A log, or a folder with ``interactions.*`` or with ``train.*`` and ``test.*``.

    Raises
    ------
    ModelError
        The policy file cannot be used.
    DataError
        There is no such log, or a model cannot be compared.
    """
    path, log = Path(path), Path(log)
    file = policy_file(path)
    ranges = any(policy.space for policy in file.policies)
    trials = file.trials or (TRIALS if ranges else None)
    experiment = Experiment(
        name=_name(path.stem),
        data=(DataPart(name=_name(log.name.partition(".")[0]), file=str(log.absolute())),),
        models=(ModelPart(policy=str(path.absolute())),),
        tuning=None if trials is None else TuningPart(trials=trials),
    ).within(path.parent)
    if problems := experiment.check():
        told = "; ".join(problem.message for problem in problems)
        of_log = problems[0].place[0] == "data"
        raise (DataError if of_log else ModelError)(f"{path}: {told}")
    return experiment


def _name(text: str) -> str:
    """A text as a name of an experiment or a data set."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).strip("-._")[:64] or "experiment"
