"""Policy files: all forms in which hosted recommenders write models."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import ModelError, PolicyWarning
from shoal.models.registry import create
from shoal.policy.spec import PolicySpec, Role, spec_of
from shoal.policy.stages import two_stages
from shoal.policy.yaml_files import Place, read_yaml_with_lines
from shoal.web import printable

FORM = "write policy_configs: {scoring_policy: {policy_type: elsa, …}}"
HINT = FORM[0].upper() + FORM[1:]
POLICIES: dict[str, Role] = {"scoring_policy": "scoring", "embedding_policy": "embedding"}

# keys that are read; all others of a file are named in a note
_READ = ("model", "policy_configs", "inference_config", "training")
_READ_OF_MODEL = ("name", "description", "policy_configs", "inference_config")
_READ_OF_TRAINING = ("models", "tuning")
_READ_OF_TUNING = ("total_jobs",)
_READ_OF_INFERENCE = ("retrieval_k",)


@dataclass(frozen=True)
class PolicyFile:
    """What a policy file holds.

    Parameters
    ----------
    policies : tuple of PolicySpec
        At least one. ``embedding_policy`` and ``scoring_policy`` together are one, `two-stage`.
    trials : int or None
        How many settings are to be tried for each model (``training.tuning.total_jobs``).
    notes : tuple of str
        Parts of the file that are not read, and where these things are said instead.
    """

    policies: tuple[PolicySpec, ...]
    trials: int | None = None
    notes: tuple[str, ...] = ()


def read_policy(path: str | Path, settings: dict[str, Any] | None = None) -> Recommender:
    """Make the model that a policy file describes; it is not fitted.

    Parameters
    ----------
    path : str or Path
        A YAML file (JSON is YAML too).
    settings : dict, optional
        Hyper-parameters that replace those of the file.

    Returns
    -------
    Recommender

    Warns
    -----
    PolicyWarning
        A key of the file does nothing for this model.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy or several, the model or a
        hyper-parameter does not exist, or a range stands where a value should.
    """
    name, own_settings = policy_of(path, settings)
    try:
        return create(name, own_settings)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def policy_of(
    path: str | Path, settings: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Read the model's name and the hyper-parameters from a file with one policy.

    Parameters
    ----------
    path : str or Path
    settings : mapping, optional
        Hyper-parameters that replace those of the file, its ranges too.

    Warns
    -----
    PolicyWarning
        A key of the file does nothing for this model.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy or several, or a range stands
        where a value should.
    """
    policy = only_policy(path)
    ranges = [name for name in policy.space if name not in (settings or {})]
    if ranges:
        names = printable(", ".join(ranges), 100)
        raise ModelError(
            f"{path}: {names} {'is a range' if len(ranges) == 1 else 'are ranges'}, not one value: "
            f"`shoal tune --policy {path}` searches it and writes the best down; or write a value, "
            f"here or as --set {ranges[0]}=…"
        )
    tell(policy)
    return policy.name, {**policy.settings, **(settings or {})}


def only_policy(path: str | Path) -> PolicySpec:
    """The policy of a file that holds one; ranges may stand in it.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, or it holds no policy or several.
    """
    policies = policy_file(path).policies
    if len(policies) > 1:
        labels = printable(", ".join(policy.label for policy in policies), 100)
        raise ModelError(
            f"{path}: holds {len(policies)} models ({labels}), and one is wanted: compare them by "
            f"`shoal compare LOG --policies {path}` or `shoal run {path} --data LOG`, or keep one"
        )
    return policies[0]


def policies_of(path: str | Path) -> tuple[PolicySpec, ...]:
    """Read all models of a policy file, with their values and ranges.

    Notes on keys that do nothing, and (with the first model) on parts of the file that are not
    read, are in `PolicySpec.notes`.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy, or a policy cannot be read. The
        message names the file and the line.
    """
    file = policy_file(path)
    first, *others = file.policies
    return (replace(first, notes=(*file.notes, *first.notes)), *others)


def tell(policy: PolicySpec) -> None:
    """Warn of each key of a policy that does nothing."""
    for note in policy.notes:
        warnings.warn(note, PolicyWarning, stacklevel=3)


def policy_file(path: str | Path) -> PolicyFile:
    """Read a policy file: its models, how many trials it asks for, and what is not read of it.

    Raises
    ------
    ModelError
        As for `policies_of`.
    """
    content, lines = read_yaml_with_lines(path, HINT)
    if not isinstance(content, dict):
        raise ModelError(f"{path}: {FORM}")
    places = _Places(path, lines)
    model, training = _mapping(content, "model"), _mapping(content, "training")
    within: Place = () if content.get("policy_configs") else ("model",)
    configs = content.get("policy_configs") or model.get("policy_configs")
    specs = _of_configs(configs, (*within, "policy_configs"), places)
    if len(specs) == 2:
        candidates = _candidates(content, model, places)
        specs = [
            two_stages(*specs, candidates=candidates, at=places.of((*within, "policy_configs")))
        ]
    name = model.get("name")
    if len(specs) == 1 and isinstance(name, str) and name.strip():
        specs = [replace(specs[0], label=printable(name, 60))]
    listed, trials = _of_training(training, places)
    specs += listed
    if not specs:
        raise ModelError(f"{path}: {FORM}")
    _check_labels(specs, path)
    return PolicyFile(tuple(specs), trials, _not_read(content, model, training, path))


@dataclass(frozen=True)
class _Places:
    """Where values stand in a file, as messages say it."""

    path: str | Path
    lines: dict[Place, int]

    def of(self, place: Place) -> str:
        """The file and the line of a value."""
        line = self.lines.get(place)
        return f"{self.path}" if line is None else f"{self.path}, line {line}"

    def keys(self, place: Place, policy: Any) -> dict[str, str]:
        """The file and line of each key of a policy that stands there, and of itself by ""."""
        names = map(str, policy) if isinstance(policy, dict) else ()
        inside = {name: self.of((*place, name)) for name in names if (*place, name) in self.lines}
        return {**inside, "": self.of(place)}


def _of_configs(configs: Any, place: Place, places: _Places) -> list[PolicySpec]:
    """The policies below ``policy_configs``: the one that retrieves first."""
    if configs is None:
        return []
    if not isinstance(configs, dict):
        raise ModelError(f"{places.of(place)}: policy_configs names no policies: {FORM}")
    for key in configs:
        if key not in POLICIES:
            raise ModelError(
                f"{places.of((*place, str(key)))}: there is no {printable(str(key), 60)} (there "
                f"are: {', '.join(POLICIES)})"
            )
    return [
        spec_of(configs[name], name, POLICIES[name], places.keys((*place, name), configs[name]))
        for name in ("embedding_policy", "scoring_policy")
        if name in configs
    ]


def _mapping(holder: dict[Any, Any], key: str) -> dict[Any, Any]:
    """A mapping in a mapping; empty where something else stands."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _of_training(training: dict[Any, Any], places: _Places) -> tuple[list[PolicySpec], int | None]:
    """The models below ``training``, and how many trials are asked for."""
    listed = training.get("models")
    if listed is not None and not isinstance(listed, list):
        raise ModelError(
            f"{places.of(('training', 'models'))}: models is no list: write - policy_type: elsa"
        )
    specs = []
    for number, policy in enumerate(listed or []):
        place = ("training", "models", number)
        specs.append(spec_of(policy, f"model {number + 1}", "training", places.keys(place, policy)))
    return _with_own_labels(specs, listed or []), _trials(_mapping(training, "tuning"), places)


def _with_own_labels(specs: list[PolicySpec], listed: list[Any]) -> list[PolicySpec]:
    """Number the models that have no name in the file and would be called like another."""
    out: list[PolicySpec] = []
    taken: set[str] = set()
    for spec, policy in zip(specs, listed, strict=True):
        if policy.get("name") is None and spec.label in taken:
            number = 2
            while f"{spec.label}-{number}" in taken:
                number += 1
            out.append(replace(spec, label=f"{spec.label}-{number}"))
        else:
            out.append(spec)
        taken.add(out[-1].label)
    return out


def _check_labels(specs: list[PolicySpec], path: str | Path) -> None:
    labels = [spec.label for spec in specs]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise ModelError(
            f"{path}: two models are called {printable(twice[0], 60)}: give each a name of its own"
        )


def _trials(tuning: dict[Any, Any], places: _Places) -> int | None:
    """``total_jobs``, which is how many settings a hosted recommender tries."""
    if tuning.get("total_jobs") is None:
        return None
    return _count(tuning["total_jobs"], 10**6, ("training", "tuning", "total_jobs"), places)


def _candidates(content: dict[Any, Any], model: dict[Any, Any], places: _Places) -> int | None:
    """``retrieval_k`` of the inference configuration, below ``model`` or at top level."""
    for within, holder in ((("model",), model), ((), content)):
        inference = _mapping(holder, "inference_config")
        if inference.get("retrieval_k") is not None:
            place = (*within, "inference_config", "retrieval_k")
            return _count(inference["retrieval_k"], 10**9, place, places)
    return None


def _count(given: Any, most: int, place: Place, places: _Places) -> int:
    """A whole number from 1 to `most`."""
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
        told = f"{place[-1]} is {printable(str(given), 60)}: give 1 or more"
        raise ModelError(f"{places.of(place)}: {told}")
    return given


def _not_read(
    content: dict[Any, Any], model: dict[Any, Any], training: dict[Any, Any], path: str | Path
) -> tuple[str, ...]:
    """One note that names the parts of a file that say nothing about models."""
    named = [str(key) for key in content if key not in _READ]
    inference = _mapping(model, "inference_config") or _mapping(content, "inference_config")
    for prefix, part, read in (
        ("model", model, _READ_OF_MODEL),
        ("training", training, _READ_OF_TRAINING),
        ("training.tuning", _mapping(training, "tuning"), _READ_OF_TUNING),
        ("inference_config", inference, _READ_OF_INFERENCE),
    ):
        named += [f"{prefix}.{key}" for key in part if key not in read]
    if not named:
        return ()
    told = printable(", ".join(named), 300)
    return (
        f"{path}: not used: {told}. Only the models are read: the command line or an experiment "
        "file says which data, how they are split and what is measured",
    )
