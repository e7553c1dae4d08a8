"""What kind of YAML file shoal is given, and what it would do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.errors import DataError, ShoalError
from shoal.run import how_many

if TYPE_CHECKING:
    from shoal.base.ranges import Choices, Range

# keys that only one kind of file has
_OWN_KEYS = {
    "experiment": ("models", "seeds", "tuning", "split", "published", "expect", "output"),
    "policy": ("policy_configs", "training", "connectors", "fetch", "inference_config"),
    "refresh": ("store", "log", "events", "schedule", "keep", "nice"),
    "online experiment": ("variants", "control", "success", "guards"),
}


def kind_of(path: Path) -> str:
    """Which kind of file it is, by its keys.

    Raises
    ------
    DataError
        It is no YAML, or has keys of none of the kinds.
    """
    from shoal.policy import read_yaml

    forms = (
        "An experiment has data and models, a policy file policy_configs or training, a refresh "
        "store and log, an online experiment variants"
    )
    try:
        content = read_yaml(path, forms)
    except ShoalError as error:
        raise DataError(str(error)) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no keys and values. {forms}")
    if isinstance(content.get("model"), dict):  # hosted forms have policies below `model`
        return "policy"
    counts = {kind: sum(key in content for key in keys) for kind, keys in _OWN_KEYS.items()}
    best = max(counts, key=lambda kind: counts[kind])
    if counts[best] == 0:
        raise DataError(f"{path} has keys of no file that shoal knows. {forms}")
    return best


def describe(path: Path) -> dict[str, Any]:
    """Read a file of any kind, and say what it is and what it would run.

    Returns
    -------
    dict
        ``kind`` and ``text`` (for people), and more of each kind.

    Raises
    ------
    ShoalError
        What is wrong with the file.
    """
    kind = kind_of(path)
    return {"kind": kind, **_READERS[kind](path)}


def _experiment(path: Path) -> dict[str, Any]:
    from shoal.experiments.files.locating import is_here
    from shoal.experiments.files.reading import read_experiment

    experiment = read_experiment(path)
    tuning, entrants = experiment.tuning, experiment.entrants
    tuned = [entrant.label for entrant in entrants if experiment.searches(entrant)]
    data: list[dict[str, Any]] = [
        {"name": part.label, "here": is_here(part, experiment.folder)} for part in experiment.data
    ]
    notes = [
        f"{part['name']} is not here yet: `shoal data fetch {own.public}`, or --data "
        f"{part['name']}=PATH"
        for part, own in zip(data, experiment.data, strict=True)
        if not part["here"] and own.public is not None
    ]
    labels = [entrant.label for entrant in entrants]
    strangers = {figure.model for figure in experiment.published} - set(labels)
    if strangers:
        others = ", ".join(sorted(strangers))
        notes.append(f"published figures of models that this file does not run: {others}")
    split: str = experiment.split.protocol or experiment.split.kind
    if all(part.is_split for part in experiment.data):
        split = "given files"
    several = f"{how_many(len(labels), 'model')} × {how_many(len(experiment.seeds), 'seed')}"
    if len(data) > 1:
        several += f" × {len(data)} data sets"
    budget = "nothing is tuned"
    if tuning is not None:
        ends = [how_many(tuning.trials, "trial") if tuning.trials else "",
                f"{tuning.minutes:g} minutes" if tuning.minutes else ""]  # fmt: skip
        budget = f"{len(tuned)} tuned by {tuning.metric}, each with at most "
        budget += " or ".join(end for end in ends if end)
    names = ", ".join(part.label for part in experiment.data)
    return {
        "name": experiment.name,
        "data": data,
        "split": split,
        "seeds": list(experiment.seeds),
        "models": labels,
        "tuned": tuned,
        "tuning": None if tuning is None else tuning.model_dump(),
        "metrics": list(experiment.evaluation.metrics),
        "text": f"{experiment.name}: {names}, split: {split}; {several}; {budget}",
        "notes": [*experiment.notes, *notes],
    }


def _policy(path: Path) -> dict[str, Any]:
    from shoal.policy import policy_file

    file = policy_file(path)
    models = [
        {
            "label": policy.label,
            "model": policy.name,
            "settings": policy.settings,
            "searched": {name: _range_text(own) for name, own in policy.space.items()},
        }
        for policy in file.policies
    ]
    told = []
    for policy in file.policies:
        values = [f"{name}={value}" for name, value in policy.settings.items()]
        values += [f"{name}={_range_text(own)}" for name, own in policy.space.items()]
        told.append(f"{policy.label} ({', '.join([policy.name, *values])})")
    return {
        "models": models,
        "trials": file.trials,
        "text": f"{'; '.join(told)}: it is run with data: `shoal run {path} --data LOG`",
        "notes": [*file.notes, *(note for policy in file.policies for note in policy.notes)],
    }


def _refresh(path: Path) -> dict[str, Any]:
    from shoal.refresh import read_config

    config = read_config(path)
    model = config.unfitted().name
    sources = [name for name in ("log", "events") if getattr(config, name) is not None]
    when = f"by the schedule {config.schedule}" if config.schedule else "once"
    return {
        "store": config.store,
        "model": model,
        "learns_from": sources,
        "schedule": config.schedule,
        "text": f"trains {model} from {' and '.join(sources)} {when}, and publishes in "
        f"{config.store}",
        "notes": [],
    }


def _online(path: Path) -> dict[str, Any]:
    from shoal.online.definition import read_experiment

    experiment = read_experiment(path)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in experiment.shares.items())
    return {
        "name": experiment.name,
        "variants": experiment.shares,
        "control": experiment.control,
        "text": f"{experiment.name}: users are answered by {shares}; control: {experiment.control}",
        "notes": [],
    }


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "experiment": _experiment,
    "policy": _policy,
    "refresh": _refresh,
    "online experiment": _online,
}


def _range_text(own: Range | Choices) -> str:
    """A range for people: ``10 … 200 (log)``, or the values to choose from."""
    from shoal.base.ranges import Choices

    if isinstance(own, Choices):
        return " | ".join(map(str, own.values))
    return f"{own.low:g} … {own.high:g}{' (log)' if own.scale == 'log' else ''}"
