"""What follows from the files of a run: comparisons, and the tables that are written at the end.

All of it is made from the folder alone, so that a run that was killed can be shown, and a report
be written again, without its data.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from shoal.errors import ArtifactError
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.conclude import Comparison, conclude
from shoal.experiments.runs.cells import load_cell, write_per_user
from shoal.experiments.runs.folder import (
    CURVES,
    DATA,
    EXTRAS,
    FILE,
    REFUSED,
    RESULTS,
    SEARCHES,
    TRIALS,
    RunFolder,
    safe_name,
)
from shoal.experiments.tuning.trials import Searched, over_seeds
from shoal.policy import read_yaml

FORMAT = 1
_QUICK = (
    "A quick run, which proves that the file runs: one seed, two trials, two epochs. Its figures "
    "say nothing of the models: there is no verdict, and published figures are not shown."
)
_TUNED_ONCE = (
    "Tuned once, on the validation users of the first seed, who may be test users of another seed."
)


def comparisons_of(folder: RunFolder) -> list[Comparison]:
    """The comparison of each data set, as far as its models have been measured.

    Returns
    -------
    list of Comparison
        In the order of the file; data sets that have not been read yet are left out.

    Raises
    ------
    ArtifactError
        A file of the folder is damaged.
    """
    about, facts = folder.about, folder.read_json_if_there(DATA)
    return [_comparison(folder, about, name, told) for name, told in facts.items()]


def not_begun(folder: RunFolder) -> list[str]:
    """The data sets of a run that have not been read yet, in the order of the file."""
    begun = folder.read_json_if_there(DATA)
    return [d["name"] for d in folder.about["asked"]["data"] if d["name"] not in begun]


def write_results(folder: RunFolder) -> list[Comparison]:
    """Write results, values per user, trials and curves of all that has been measured."""
    comparisons = comparisons_of(folder)
    results = {
        "format": FORMAT,
        "name": folder.about["name"],
        "comparisons": [comparison.to_dict() for comparison in comparisons],
    }
    folder.write_json(RESULTS, results)
    pairs = [
        (str(comparison.data["name"]), cell)
        for comparison in comparisons
        for entry in comparison.entries
        for cell in entry.cells
    ]
    write_per_user(folder, pairs)
    folder.write_lines(CURVES, _curve_rows(pairs))
    folder.write_lines(TRIALS, _trial_rows(folder))
    return comparisons


def save_search(folder: RunFolder, data: str, seed: int, label: str, found: Searched) -> None:
    """Keep a search that has ended."""
    content = {"data": data, "seed": seed, "label": label, "searched": found.to_dict()}
    folder.write_json(f"{SEARCHES}/{safe_name(data, seed, label)}.json", content)


def load_search(folder: RunFolder, data: str, seed: int, label: str) -> Searched | None:
    """A search that has ended; None if it has not, or its file is damaged: it is made again."""
    name = f"{SEARCHES}/{safe_name(data, seed, label)}.json"
    if not (folder.path / name).is_file():
        return None
    try:
        content = folder.read_json(name)
        if (content["data"], content["seed"], content["label"]) != (data, seed, label):
            return None
        return Searched.from_dict(content["searched"])
    except (ArtifactError, LookupError, TypeError, ValueError):
        return None


def _comparison(
    folder: RunFolder, about: Mapping[str, Any], name: str, facts: Mapping[str, Any]
) -> Comparison:
    """The comparison of one data set."""
    asked = about["asked"]
    seeds = asked["seeds"]
    refused = folder.read_json_if_there(REFUSED).get(name, {})
    cells: list[Cell] = []
    unfinished: list[str] = []
    searches: dict[str, Searched] = {}
    tuning = asked.get("tuning") or {}
    searched_with = seeds if tuning.get("each_seed") else seeds[:1]
    for label in about["labels"]:
        if label in refused:
            continue
        found = [cell for seed in seeds if (cell := _cell_or_none(folder, name, seed, label))]
        cells += found
        if len(found) < len(seeds):
            unfinished.append(label)
        of_seeds = [load_search(folder, name, seed, label) for seed in searched_with]
        if made := [searched for searched in of_seeds if searched is not None]:
            searches[label] = over_seeds(made)
    notes = [*facts.get("notes", []), *about.get("notes", [])]
    alike = facts.get("splits_alike") or tuning.get("each_seed")
    if searches and len(seeds) > 1 and not alike:
        notes.append(_TUNED_ONCE)
    no_verdict, published = "", _published(folder)
    if about.get("quick"):
        published = []
        no_verdict = _QUICK
    extras = f"{EXTRAS}/{safe_name(name)}.json"
    return conclude(
        cells,
        searches,
        metrics=asked["evaluation"]["metrics"],
        refused=refused,
        unfinished=unfinished,
        data=facts["facts"],
        published=[f for f in published if f.pop("data", "") in ("", name)],
        notes=notes,
        extras=folder.read_json_if_there(extras),
        no_verdict=no_verdict,
    )


def _cell_or_none(folder: RunFolder, data: str, seed: int, label: str) -> Cell | None:
    try:
        return load_cell(folder, data, seed, label)
    except ArtifactError:  # it counts as not finished
        return None


def _published(folder: RunFolder) -> list[dict[str, Any]]:
    """Figures of papers, as the resolved file has them."""
    if not (folder.path / FILE).is_file():
        return []
    content = read_yaml(folder.path / FILE, "This is the file of a run.")
    return [dict(figure) for figure in content.get("published") or []]


def _curve_rows(pairs: list[tuple[str, Cell]]) -> Iterator[dict[str, Any]]:
    """A row for each epoch of each fit."""
    for data, cell in pairs:
        for row in cell.curve:
            yield {"data": data, "seed": cell.seed, "model": cell.label} | row


def _trial_rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """A row for each setting that a search has tried."""
    for path in sorted((folder.path / SEARCHES).glob("*.json")):
        try:
            content = json.loads(path.read_bytes())
            names = {"data": content["data"], "seed": content["seed"], "model": content["label"]}
            trials = Searched.from_dict(content["searched"]).to_dict()["trials"]
        except (LookupError, TypeError, ValueError):
            warnings.warn(f"{path} is damaged: its trials are left out", stacklevel=2)
            continue
        for number, trial in enumerate(trials, start=1):
            yield names | {"number": number} | trial
