"""Comet: an experiment for each model on each data set, offline unless there is a key."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

from shoal.experiments.trackers.contents import TrackedModel, TrackedRun

_DIGEST = "shoal.digest"
# Comet otherwise looks at the program that imports it: its code, output, arguments and machine.
_NOTHING_BY_ITSELF: dict[str, Any] = {
    "log_code": False,
    "log_graph": False,
    "auto_param_logging": False,
    "auto_metric_logging": False,
    "auto_output_logging": False,
    "auto_histogram_weight_logging": False,
    "parse_args": False,
    "log_env_details": False,
    "log_env_gpu": False,
    "log_env_cpu": False,
    "log_env_network": False,
    "log_env_disk": False,
    "log_env_host": False,
    "log_git_metadata": False,
    "log_git_patch": False,
    "display_summary_level": 0,
}


def send(run: TrackedRun, folder: Path) -> list[str]:
    """Report a run: to Comet's servers where ``COMET_API_KEY`` is set, else to archives.

    ``COMET_OFFLINE_DIRECTORY`` asks for archives whether there is a key or not, and says where
    they go; without it they go to the folder ``comet`` of the run folder. ``comet upload FILE``
    sends an archive later. The key of an experiment belongs to run, data and model, so that
    nothing is there twice.
    """
    offline = os.environ.get("COMET_OFFLINE_DIRECTORY")
    if offline or not os.environ.get("COMET_API_KEY"):
        return _to_archives(run, Path(offline) if offline else folder / "comet")
    return _to_servers(run)


def _project(run: TrackedRun) -> str:
    return os.environ.get("COMET_PROJECT_NAME") or run.name


def _to_archives(run: TrackedRun, where: Path) -> list[str]:
    import comet_ml

    where.mkdir(parents=True, exist_ok=True)
    unchanged = 0
    for model in run.models:
        archive = where / f"{model.key}.zip"
        if _digest_in(archive) == run.digest:
            unchanged += 1
            continue
        archive.unlink(missing_ok=True)
        experiment = comet_ml.OfflineExperiment(
            project_name=_project(run),
            offline_directory=str(where),
            experiment_key=model.key,
            **_NOTHING_BY_ITSELF,
        )
        _log(experiment, run, model)
        experiment.end()
        if not archive.is_file():
            raise RuntimeError(f"no archive was written for {model.label} in {where}")
    if unchanged == len(run.models):
        return [f"comet: the archives in {where} are up to date"]
    return [f"comet: archives are in {where}; `comet upload` sends them"]


def _digest_in(archive: Path) -> str:
    """The digest in an archive; "" if there is none, or it is not whole."""
    try:
        with zipfile.ZipFile(archive) as content:
            lines = content.read("messages.json").decode("utf-8").splitlines()
        for line in lines:
            payload = json.loads(line).get("payload", {})
            if payload.get("key") == _DIGEST:
                return str(payload.get("value"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass
    return ""


def _to_servers(run: TrackedRun) -> list[str]:
    import comet_ml

    api = comet_ml.API()
    unchanged = 0
    for model in run.models:
        there = api.get_experiment_by_key(model.key)
        if there is None:
            experiment = comet_ml.Experiment(
                project_name=_project(run), experiment_key=model.key, **_NOTHING_BY_ITSELF
            )
        elif _digest_of(there) == run.digest:
            unchanged += 1
            continue
        else:
            experiment = comet_ml.ExistingExperiment(experiment_key=model.key, **_NOTHING_BY_ITSELF)
        _log(experiment, run, model)
        if not experiment.end():
            raise RuntimeError(f"{model.label} was not taken over whole")
    if run.models and unchanged == len(run.models):
        return ["comet: this run is there already, with the same results"]
    return []


def _digest_of(experiment: Any) -> str:
    for other in experiment.get_others_summary():
        if other.get("name") == _DIGEST:
            return str(other.get("valueCurrent"))
    return ""


def _log(experiment: Any, run: TrackedRun, model: TrackedModel) -> None:
    """Report one model; the digest comes last, so a report that was cut short is known."""
    experiment.set_name(f"{model.data}: {model.label}")
    experiment.add_tags([run.name, model.data, model.label])
    experiment.log_others(dict(model.tags))
    experiment.log_parameters(dict(model.settings))
    for epoch, values in model.curve:
        for name, value in values.items():
            experiment.log_metric(f"epoch/{name}", value, step=epoch, epoch=epoch)
    for name, value in model.metrics.items():
        experiment.log_metric(name, value)
    for file in run.files:
        experiment.log_asset(str(file), file_name=file.name, overwrite=True)
    experiment.log_other(_DIGEST, run.digest)
