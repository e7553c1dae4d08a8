"""MLflow: a run for the run folder, and one below it for each model on each data set."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from shoal.experiments.trackers.contents import TrackedRun

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_METRICS, _PARAMS = 1000, 100  # the most that MLflow takes at once
_LONGEST = 5000  # characters of a parameter or a tag
_DIGEST = "shoal.digest"  # set last, so a report that was cut short is known by its absence


def send(run: TrackedRun) -> list[str]:
    """Report a run once; a report that is out of date or was cut short is replaced.

    Where MLflow is, is said by ``MLFLOW_TRACKING_URI``; without it, its own default holds: the
    file mlflow.db in the working folder. ``MLFLOW_EXPERIMENT_NAME`` names the experiment, else
    the run does.
    """
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    experiment = _experiment(client, os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.name)
    earlier = _runs(client, experiment, run.key)
    parents = [one for one in earlier if "mlflow.parentRunId" not in one.data.tags]
    if any(one.data.tags.get(_DIGEST) == run.digest for one in parents):
        return ["mlflow: this run is there already, with the same results"]
    parent = _start(client, experiment, run.name, {**run.tags, "mlflow.note.content": run.summary})
    for file in run.files:
        client.log_artifact(parent, str(file))
    for model in run.models:
        tags = {**model.tags, "mlflow.parentRunId": parent}
        child = _start(client, experiment, f"{model.data}: {model.label}", tags)
        _log(client, child, model.settings, _points(model.metrics, model.curve))
        client.set_terminated(child)
    client.set_terminated(parent)
    client.set_tag(parent, _DIGEST, run.digest)
    for one in earlier:
        client.delete_run(one.info.run_id)
    return ["mlflow: an earlier report of this run was replaced"] if earlier else []


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)


def _runs(client: MlflowClient, experiment: str, key: str) -> list[Any]:
    """All runs of MLflow that belong to a run folder."""
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment], f"tags.`shoal.run` = '{key}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _start(client: MlflowClient, experiment: str, name: str, tags: Mapping[str, str]) -> str:
    short = {tag: value[:_LONGEST] for tag, value in tags.items()}
    return str(client.create_run(experiment, tags=short, run_name=name).info.run_id)


def _points(
    metrics: Mapping[str, float], curve: Iterable[tuple[int, Mapping[str, float]]]
) -> list[tuple[str, float, int]]:
    """Names, values and steps; what is measured after each epoch has names of its own."""
    points = [(metric_name(name), value, 0) for name, value in metrics.items()]
    for epoch, values in curve:
        points += [(f"epoch/{metric_name(name)}", value, epoch) for name, value in values.items()]
    return points


def _log(
    client: MlflowClient,
    run: str,
    settings: Mapping[str, str],
    points: list[tuple[str, float, int]],
) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(metric_name(name), value[:_LONGEST]) for name, value in settings.items()]
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for name, value, step in points]
    for start in range(0, len(params), _PARAMS):
        client.log_batch(run, params=params[start : start + _PARAMS])
    for start in range(0, len(metrics), _METRICS):
        client.log_batch(run, metrics=metrics[start : start + _METRICS])


def metric_name(name: str) -> str:
    """A name that MLflow allows: ``ndcg@100:head`` is ``ndcg_at_100_head``."""
    return re.sub(r"[^\w\-. /]", "_", name.replace("@", "_at_"), flags=re.ASCII).replace(" ", "_")
