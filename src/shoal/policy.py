"""Policy files: a model and its hyper-parameters in YAML, in the form that Shaped's users know.

policy_configs:                 training:
  scoring_policy:                 models:
    policy_type: elsa               - name: mine
    factors: 512                      policy_type: elsa
                                      factors: 512

The left form may also name an ``embedding_policy``; either may stand below ``model:``. Other keys
of such a file (where data come from) are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.models.registry import create

POLICIES = ("scoring_policy", "embedding_policy")
FORM = "write policy_configs: {scoring_policy: {policy_type: elsa, …}}"


def read_policy(path: str | Path, settings: dict[str, Any] | None = None) -> Recommender:
    """The unfitted model that a policy file describes.

    Parameters
    ----------
    path : str or Path
        YAML; JSON is YAML too.
    settings : dict, optional
        Hyper-parameters that take the place of the file's.

    Returns
    -------
    Recommender

    Raises
    ------
    ModelError
        No such file, no YAML, no policy or several, a model or hyper-parameter that there is not,
        or a range where a value should stand.
    """
    name, given = policy_of(path)
    try:
        return create(name, given | (settings or {}))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def policy_of(path: str | Path) -> tuple[str, dict[str, Any]]:
    """The model's name and the hyper-parameters of a policy file, as they stand there.

    Raises
    ------
    ModelError
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise ModelError(f"{path}{where}: this is no YAML. {FORM[0].upper()}{FORM[1:]}") from None
    found = _policies(content)
    if len(found) != 1:
        what = f"holds {len(found)} policies ({', '.join(found)}): keep one" if found else FORM
        raise ModelError(f"{path}: {what}")
    ((label, policy),) = found.items()
    if not isinstance(policy, dict) or not isinstance(policy.get("policy_type"), str):
        raise ModelError(f"{path}: {label} names no policy_type (a model: elsa, ease, …)")
    given = {str(n): v for n, v in policy.items() if n not in ("policy_type", "name")}
    for parameter, value in given.items():
        if isinstance(value, dict | list):
            raise ModelError(
                f"{path}: {parameter} is {value}, not one value: write a value, or leave it out "
                f"and let `shoal tune --model {policy['policy_type']}` search"
            )
    return policy["policy_type"], given


def _policies(content: Any) -> dict[str, Any]:
    """All policies in a file by what they are called there."""
    if not isinstance(content, dict):
        return {}
    within = content.get("model")
    configs = content.get("policy_configs") or (
        within.get("policy_configs") if isinstance(within, dict) else None
    )
    found: dict[str, Any] = {}
    if isinstance(configs, dict):
        found |= {name: configs[name] for name in POLICIES if name in configs}
    training = content.get("training")
    listed = training.get("models") if isinstance(training, dict) else None
    for at, one in enumerate(listed if isinstance(listed, list) else []):
        name = one.get("name") if isinstance(one, dict) else None
        found[str(name or f"model {at + 1}")] = one
    return found
