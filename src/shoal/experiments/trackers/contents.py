"""What a run folder holds that a tracker is told: figures, settings, curves, tags and files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal._version import __version__
from shoal.errors import DataError

# What a run folder may hold, in the order in which it is reported. Models and the values of
# single users stay where they are.
_FILES = (
    "report.html",
    "report.md",
    "table.csv",
    "table.tex",
    "experiment.yaml",
    "results.json",
    "run.json",
    "environment.json",
    "data.json",
    "trials.jsonl",
    "curves.jsonl",
)
_COSTS = (
    "fit_seconds",
    "tune_seconds",
    "trials",
    "peak_bytes",
    "model_bytes",
    "request_seconds",
)


@dataclass(frozen=True)
class TrackedModel:
    """One model on one data set.

    Attributes
    ----------
    data, label : str
        The data set and the model, as the run names them.
    key : str
        32 hexadecimal digits, the same whenever this model of this run is reported.
    settings : mapping of str to str
        The name of the model, and its hyper-parameters.
    metrics : mapping of str to float
        Metrics (mean, standard error and each seed's), and costs.
    curve : tuple of (int, mapping)
        Epochs with what was measured after each.
    tags : mapping of str to str
    """

    data: str
    label: str
    key: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    curve: tuple[tuple[int, Mapping[str, float]], ...]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class TrackedRun:
    """A run folder.

    Attributes
    ----------
    name : str
        The name of the experiment.
    key : str
        32 hexadecimal digits that belong to this run, also where its folder is copied or moved.
    digest : str
        Changes when the results do: what was reported with the same digest is up to date.
    tags : mapping of str to str
    summary : str
        The verdicts in words, for people.
    files : tuple of Path
    models : tuple of TrackedModel
    """

    name: str
    key: str
    digest: str
    tags: Mapping[str, str]
    summary: str
    files: tuple[Path, ...]
    models: tuple[TrackedModel, ...]


def read_run(folder: Path) -> TrackedRun:
    """Read a run folder, whether the run is complete or not.

    Raises
    ------
    DataError
        The folder is not one of a run, or has no results yet.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name one that shoal run wrote")
    run = _read(folder / "run.json")
    results = _read(folder / "results.json")
    environment = _read(folder / "environment.json", needed=False)
    name = str(run.get("name") or results.get("name") or folder.name)
    key = _hash(name, run.get("started"), run.get("fingerprint"))
    status = str(run.get("status", "unknown"))
    tags = {
        "shoal.version": str(environment.get("shoal") or __version__),
        "shoal.commit": str(environment.get("commit") or ""),
        "shoal.status": status,
        "shoal.run": key,
    }
    tags = {tag: value for tag, value in tags.items() if value}
    hashes = _fingerprints(_read(folder / "data.json", needed=False))
    models = tuple(
        _model(key, entry, comparison, tags, hashes)
        for comparison in results.get("comparisons", [])
        for entry in comparison.get("models", [])
    )
    return TrackedRun(
        name,
        key,
        _hash(results, status),
        tags | {f"shoal.data.{data}": value for data, value in hashes.items()},
        "\n\n".join(_verdict(comparison) for comparison in results.get("comparisons", [])),
        tuple(path for path in (folder / file for file in _FILES) if path.is_file()),
        models,
    )


def _model(
    run: str,
    entry: Mapping[str, Any],
    comparison: Mapping[str, Any],
    tags: Mapping[str, str],
    hashes: Mapping[str, str],
) -> TrackedModel:
    data, label = str(comparison["data"]["name"]), str(entry["label"])
    metrics: dict[str, float] = {}
    for metric, value in entry.get("metrics", {}).items():
        _put(metrics, metric, value.get("mean"))
        _put(metrics, f"{metric} se", value.get("se"))
        by_seed = value.get("by_seed") or []
        if len(by_seed) > 1:
            for seed, one in zip(comparison.get("seeds", []), by_seed, strict=False):
                _put(metrics, f"{metric} seed {seed}", one)
    for cost in _COSTS:
        _put(metrics, cost, entry.get(cost))
    curve = []
    for number, point in enumerate(entry.get("curve") or [], 1):
        values: dict[str, float] = {}
        for what, value in point.items():
            if what != "epoch":
                _put(values, what, value)
        curve.append((int(point.get("epoch", number)), values))
    own = {"shoal.data": data, "shoal.model": label, "shoal.kind": str(entry.get("kind", ""))}
    if data in hashes:
        own["shoal.fingerprint"] = hashes[data]
    settings = {"model": str(entry.get("model", label))}
    settings |= {name: _plain(value) for name, value in (entry.get("settings") or {}).items()}
    return TrackedModel(
        data,
        label,
        _hash(run, data, label),
        settings,
        metrics,
        tuple(curve),
        {**tags, **own},
    )


def _put(into: dict[str, float], name: str, value: object) -> None:
    """Keep a number; what is missing or not finite is left out, since trackers refuse it."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        into[name] = float(value)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _verdict(comparison: Mapping[str, Any]) -> str:
    text = str((comparison.get("verdict") or {}).get("text", ""))
    return f"{comparison['data']['name']}: {text}" if text else str(comparison["data"]["name"])


def _fingerprints(data: Mapping[str, Any]) -> dict[str, str]:
    """The hash of each prepared matrix, by the name of the data set."""
    return {
        name: str(facts["hashes"]["matrix"])
        for name, facts in data.items()
        if isinstance(facts, dict) and "matrix" in facts.get("hashes", {})
    }


def _hash(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(path: Path, *, needed: bool = True) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not needed:
            return {}
        raise DataError(
            f"{path.parent} has no {path.name}: it is not a run folder, or the run has no "
            "results yet (shoal run goes on with it)"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} does not hold what shoal run writes there")
    return content
