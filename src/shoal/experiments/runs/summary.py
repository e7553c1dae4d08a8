"""A run in a few words: for lists of runs."""

from __future__ import annotations

from typing import Any

from shoal.errors import ArtifactError
from shoal.experiments.runs.folder import CELLS, RESULTS, RunFolder


def summary(folder: RunFolder) -> dict[str, Any]:
    """Say of a run what it is called, what became of it, and which model was best.

    Returns
    -------
    dict
        ``folder``, ``name``, ``status``, ``started``, ``ended``, ``seconds``, ``failure`` (why it
        failed), ``cells`` (done), ``of`` (all cells), and ``data``: for each data set ``name``,
        ``models``, ``best``, ``metric`` and ``value``.
    """
    about = folder.about
    told = {name: about.get(name) for name in ("name", "started", "ended", "seconds", "failure")}
    done = len(list((folder.path / CELLS).glob("*.json")))
    data = []
    if (folder.path / RESULTS).is_file():
        try:
            data = [_best(comparison) for comparison in folder.results["comparisons"]]
        except (ArtifactError, LookupError, TypeError):
            data = []  # what can be read of the run is told all the same
    return {
        "folder": str(folder.path),
        "status": folder.status,
        **told,
        "cells": done,
        "of": about.get("cells"),
        "data": data,
    }


def _best(comparison: dict[str, Any]) -> dict[str, Any]:
    """The best model of one data set."""
    metric, models = comparison["metric"], comparison["models"]
    best = models[0] if models else None
    return {
        "name": comparison["data"]["name"],
        "models": len(models),
        "best": best and best["label"],
        "metric": metric,
        "value": best and best["metrics"][metric]["mean"],
    }
