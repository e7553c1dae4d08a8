"""An experiment as a file in which everything is said: values, ranges and defaults."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from shoal.base.ranges import Choices, Range
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.entries import enter
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import PATHS, SplitPart
from shoal.experiments.files.paths import expanded, has_variable
from shoal.experiments.files.schema import experiment_schema
from shoal.files import replacing
from shoal.splitting.split import default_sizes

SCHEMA_FILE = "experiment.schema.json"


def resolved(experiment: Experiment, folder: Path | None = None) -> str:
    """The YAML of an experiment with every default written out, and what policy files say.

    Parameters
    ----------
    experiment : Experiment
    folder : Path, optional
        Where the text is to lie: paths are relative to it; without it they are absolute. Those
        that name a variable of the environment stay as they are.

    Returns
    -------
    str
    """
    content = experiment.model_dump(mode="json", exclude_none=True)
    content["data"] = [
        part | {"name": own.label} | _paths(part, experiment.folder, folder)
        for own, part in zip(experiment.data, content["data"], strict=True)
    ]
    content["split"] = _split(experiment, content["split"])
    content["models"] = _models(experiment, folder)
    for figures in (content["published"], content["expect"]["figures"]):
        for figure in figures:
            figure["data"] = figure["data"] or experiment.data[0].label
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}"


def write_resolved(experiment: Experiment, path: Path) -> None:
    """Write the resolved file, and beside it the JSON Schema that its first line names."""
    _write(path, resolved(experiment, path.parent))


def write_example(path: Path) -> None:
    """Write a commented file to begin with, and beside it the JSON Schema for editors."""
    _write(path, EXAMPLE)


def _write(path: Path, text: str) -> None:
    schema = json.dumps(experiment_schema(), indent=1, ensure_ascii=False) + "\n"
    for target, content in ((path.with_name(SCHEMA_FILE), schema), (path, text)):
        with replacing(target) as unfinished:
            unfinished.write_text(content, encoding="utf-8")


def _paths(part: dict[str, Any], own: Path, folder: Path | None) -> dict[str, str]:
    """The paths of a data set as they are to be opened from where the text lies."""
    return {name: _moved(part[name], own, folder) for name in PATHS if name in part}


def _moved(text: str, own: Path, folder: Path | None) -> str:
    """A path relative to one folder as one relative to another, or as an absolute one."""
    if has_variable(text):
        return text
    path = expanded(text, own)
    return str(path) if folder is None else os.path.relpath(path, folder.absolute())


def _split(experiment: Experiment, part: dict[str, Any]) -> dict[str, Any]:
    """The keys of a split that mean something for its kind."""
    given = experiment.split
    if all(data.is_split for data in experiment.data):
        return {key: part[key] for key in ("validation", "resplit") if key in part}
    if given.kind != "leave-last":
        del part["last"]
        test, validation = default_sizes(given.kind)
        part.setdefault("test", test)
        if given.protocol is None:
            part.setdefault("validation", validation)
    return {key: part[key] for key in SplitPart.model_fields if key in part}


def _models(experiment: Experiment, folder: Path | None) -> list[dict[str, Any]]:
    """Each model with all its values and ranges."""
    models: list[dict[str, Any]] = []
    for number, part in enumerate(experiment.models):
        tuned = experiment.tuning is not None
        entrants = enter(part, ("models", number), experiment.folder, tuned=tuned).entrants
        staged = any("." in name for entrant in entrants for name in entrant.space or {})
        if part.policy is not None and (staged or experiment.events):
            # ranges of one stage of a model, and which events count, only policy files can say
            path = _moved(part.policy, experiment.folder, folder)
            models.append(part.model_dump(exclude_none=True, exclude={"set"}) | {"policy": path})
        else:
            models += [_model(experiment, entrant) for entrant in entrants]
    return models


def _model(experiment: Experiment, entrant: Entrant) -> dict[str, Any]:
    searched = entrant.ranges if experiment.searches(entrant) else {}
    values = entrant.unfitted().model_dump(mode="json", exclude_none=True)
    values = {name: value for name, value in values.items() if name not in searched}
    defaults = [name for name in values if name not in entrant.settings]
    # a preset, and what is set in one stage of a model, are no values of the model itself
    more = {name: value for name, value in entrant.settings.items() if name not in values}
    return {
        "name": entrant.label,
        "model": entrant.kind.name,
        "set": values | more | {name: _range(range_) for name, range_ in searched.items()},
        "tune": entrant.tune,
        "defaults": defaults,
    }


def _range(own: Range | Choices) -> Any:
    if isinstance(own, Choices):
        return list(own.values)
    low, high = (int(end) if own.whole else end for end in (own.low, own.high))
    return {"min": low, "max": high, "scale": own.scale}


EXAMPLE = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# What is compared, on what, and how: `shoal validate` checks this file, `shoal run` computes it.
# Paths are relative to the folder of this file; ${{NAME}} is a variable of the environment.

name: my-experiment              # run folders are called by it

data:                            # one data set, or a list of them
  file: ratings.csv              # or `public: ml-1m`, which `shoal data fetch ml-1m` gets
  # items: movies.csv            # titles, genres, …
  # texts: true                  # vectors of the item table's texts, for models that read them
  read: {{min_value: 4}}           # the options of `shoal train`, with _ for -

split: {{kind: strong, test: 0.1, validation: 0.1}}
seeds: 3                         # each draws a split and fits of its own; or a list: [0, 1, 2]

models:
  - popularity                   # a model, searched in its own ranges
  - ease
  - {{name: ease-500, model: ease, set: {{l2: 500}}, tune: false}}
  - name: elsa-512
    model: elsa
    set:
      factors: 512               # a value
      lr: auto                   # the model's own range
      decay: {{min: 0.7, max: 1}}  # a range
      batch_size: [256, 512]     # values to choose from
  # - policy: elsa.yaml          # a policy file

tuning: {{trials: 20, minutes: 2, metric: ndcg@100}}   # for each model; without it: none

evaluation:
  metrics: [ndcg@100, recall@20, recall@50, "ndcg@100:head", "ndcg@100:tail", coverage@100]

output: {{models: best, report: true}}
"""
