"""Hold a finished run against the hashes and figures that its file expects."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import yaml

from shoal.errors import DataError
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import Expected, ExpectPart
from shoal.experiments.runs.differences import differences, in_words
from shoal.experiments.runs.folder import DATA, RunFolder
from shoal.experiments.runs.order import Order
from shoal.models.registry import by_name

_MACHINE = ("threads", "memory", "device")
HASHES = ("raw", "matrix", "held_out")
# by how much a figure may differ, in what `expected_text` writes
_SAME_ARITHMETIC = 0.0005  # closed forms and counts: another processor rounds otherwise
_TRAINED = 0.01  # gradient steps make differences of rounding large


@dataclass(frozen=True)
class Held:
    """One hash or figure that was expected, and what came out.

    Parameters
    ----------
    data : str
        Name of the data set.
    what : str
        ``raw``, ``matrix`` or ``held_out``, for hashes; the metric, for figures.
    model : str or None
        None for hashes.
    expected, ours : str, float or None
        `ours` is None where the run has no such value; `why` says why.
    published : float or None
        The paper's figure, where the file has one.
    tolerance : float or None
    ok : bool
    why : str
        Empty where there is nothing to say.
    """

    data: str
    what: str
    model: str | None
    expected: str | float
    ours: str | float | None
    published: float | None
    tolerance: float | None
    ok: bool
    why: str = ""

    @property
    def difference(self) -> float | None:
        """Ours minus what was expected; None for hashes, and where there is no figure."""
        ours, expected = self.ours, self.expected
        if isinstance(ours, float) and isinstance(expected, float):
            return ours - expected
        return None

    def to_dict(self) -> dict[str, Any]:
        """The line for JSON."""
        return asdict(self) | {"difference": self.difference}


def hold_against(folder: RunFolder, expect: ExpectPart) -> list[Held]:
    """Compare what a run found with what its file expects.

    Parameters
    ----------
    folder : RunFolder
        With results.
    expect : ExpectPart

    Returns
    -------
    list of Held
        Hashes first.

    Raises
    ------
    DataError
        The file expects nothing, or names a data set that the run does not have.
    """
    if not expect.hashes and not expect.figures:
        raise DataError(
            f"the file expects nothing: `shoal reproduce --run {folder.path} --write-expected` "
            "writes what this run found as YAML, to be added to the file"
        )
    data = folder.read_json(DATA)
    held = []
    for name, hashes in expect.hashes.items():
        ours = _of(data, name).get("hashes", {})
        for what in HASHES:
            for key, expected in _flat(what, getattr(hashes, what)).items():
                found = _flat(what, ours.get(what)).get(key)
                held.append(Held(name, key, None, expected, found, None, None, expected == found))
    comparisons = {c["data"]["name"]: c for c in folder.results["comparisons"]}
    for figure in expect.figures:
        name = figure.data or next(iter(comparisons))
        held.append(_figure(_of(comparisons, name), name, figure))
    return held


def check_is_run_of(folder: RunFolder, experiment: Experiment | None) -> None:
    """Refuse a run whose figures are not those of a file.

    Threads, memory and device may differ: the command line sets them for a run.

    Parameters
    ----------
    folder : RunFolder
        A complete run.
    experiment : Experiment or None
        What the file says; None where the run is held against its own file.

    Raises
    ------
    DataError
        It is a quick run, or one of another file.
    """
    if folder.about.get("quick"):
        raise DataError(
            f"{folder.path} is a quick run, made to prove that its file runs: run the file without "
            "--quick, and take that run"
        )
    if experiment is None:
        return
    both = (folder.about.get("asked") or {}, Order(experiment).asked)
    changed = differences(*map(_without_machine, both))
    if changed:
        raise DataError(
            f"{folder.path} is a run of another file: {in_words(changed)}. Name the file of this "
            "run, or leave out --run, and the file is run"
        )


def _without_machine(asked: dict[str, Any]) -> dict[str, Any]:
    """What a run is asked to do, without what the command line says of the machine."""
    run = {name: value for name, value in asked.get("run", {}).items() if name not in _MACHINE}
    return asked | {"run": run}


def expected_text(folder: RunFolder) -> str:
    """The ``expect:`` block of an experiment file, in YAML, as a finished run found it.

    It has the hashes of all data sets, and the deciding metric of each model. The tolerances are
    0.0005 for models that are computed, and 0.01 for those that are trained in steps.
    """
    hashes = {
        name: {what: about["hashes"][what] for what in HASHES if about["hashes"].get(what)}
        for name, about in folder.read_json(DATA).items()
    }
    figures = [
        {
            "data": comparison["data"]["name"],
            "model": model["label"],
            "metric": comparison["metric"],
            "value": round(float(model["metrics"][comparison["metric"]]["mean"]), 5),
            "tolerance": _TRAINED if _is_trained(model) else _SAME_ARITHMETIC,
        }
        for comparison in folder.results["comparisons"]
        for model in comparison["models"]
        if model["metrics"][comparison["metric"]]["mean"] is not None
    ]
    block = {"expect": {"hashes": hashes, "figures": figures}}
    return str(yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=100))


def _is_trained(model: dict[str, Any]) -> bool:
    """Whether a model of the results, or a stage or member of it, is trained in steps."""
    try:
        return bool(by_name(model["model"])(**model["settings"]).trained_parts())
    except ValueError:  # a model of a package that is not installed here
        return True


def _figure(comparison: dict[str, Any], data: str, figure: Expected) -> Held:
    """Compare one figure of a data set."""
    published = next(
        (
            float(p["value"])
            for p in comparison.get("published", [])
            if (p["model"], p["metric"]) == (figure.model, figure.metric)
        ),
        None,
    )
    model = next((m for m in comparison["models"] if m["label"] == figure.model), None)
    mean = None if model is None else model["metrics"].get(figure.metric, {}).get("mean")
    ours = None if mean is None else float(mean)
    if model is None:
        why = comparison.get("refused", {}).get(figure.model, "the run has no such model")
    else:
        why = "" if ours is not None else "the run has no such metric"
    # a difference of exactly the tolerance is within it, whatever its last bit
    ok = ours is not None and abs(ours - figure.value) <= figure.tolerance * (1 + 1e-9) + 1e-12
    return Held(
        data,
        figure.metric,
        figure.model,
        float(figure.value),
        ours,
        published,
        float(figure.tolerance),
        ok,
        why,
    )


def _of(by_data: dict[str, Any], name: str) -> Any:
    if name not in by_data:
        raise DataError(
            f"the file expects something of the data set {name}, and the run has "
            f"{', '.join(by_data)}"
        )
    return by_data[name]


def _flat(what: str, hashes: Any) -> dict[str, str]:
    """Hashes by name: those of several files of a data set have a name each; one is the log's."""
    if hashes is None:
        return {}
    if what == "raw" and isinstance(hashes, str):
        hashes = {"log": hashes}
    if isinstance(hashes, dict):
        return {f"{what}.{name}": str(value) for name, value in hashes.items()}
    return {what: str(hashes)}
