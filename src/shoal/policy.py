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

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy or several, the model or a
        hyper-parameter does not exist, or a range stands where a value should.
    """
    name, own_settings = policy_of(path)
    try:
        return create(name, own_settings | (settings or {}))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def policy_of(path: str | Path) -> tuple[str, dict[str, Any]]:
    """Read the model's name and the hyper-parameters from a policy file, as they stand there.

    Raises
    ------
    ModelError
        There is no such file, it is no YAML, it holds no policy or several, or a range stands
        where a value should.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ModelError(f"{path}{where}: this is no YAML. {FORM[0].upper()}{FORM[1:]}") from None
    policies = _policies(content)
    if len(policies) != 1:
        several = f"holds {len(policies)} policies ({', '.join(policies)}): keep one"
        raise ModelError(f"{path}: {several if policies else FORM}")
    ((label, policy),) = policies.items()
    if not isinstance(policy, dict) or not isinstance(policy.get("policy_type"), str):
        raise ModelError(f"{path}: {label} names no policy_type (a model: elsa, ease, …)")
    settings = {str(n): v for n, v in policy.items() if n not in ("policy_type", "name")}
    for parameter, value in settings.items():
        if isinstance(value, dict | list):
            raise ModelError(
                f"{path}: {parameter} is {value}, not one value: write a value, or leave it out "
                f"and let `shoal tune --model {policy['policy_type']}` search"
            )
    return policy["policy_type"], settings


def _policies(content: Any) -> dict[str, Any]:
    """All policies of a file, by the names that they have there."""
    if not isinstance(content, dict):
        return {}
    within = content.get("model")
    configs = content.get("policy_configs") or (
        within.get("policy_configs") if isinstance(within, dict) else None
    )
    policies: dict[str, Any] = {}
    if isinstance(configs, dict):
        policies |= {name: configs[name] for name in POLICIES if name in configs}
    training = content.get("training")
    listed = training.get("models") if isinstance(training, dict) else None
    for number, policy in enumerate(listed if isinstance(listed, list) else [], start=1):
        name = policy.get("name") if isinstance(policy, dict) else None
        policies[str(name or f"model {number}")] = policy
    return policies
