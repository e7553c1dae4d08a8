"""The keys of a policy: what each means, what it takes, and why some models do not use it."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.base.closed_form import ClosedForm
from shoal.base.recommender import Recommender
from shoal.models.registry import models


@dataclass(frozen=True)
class Key:
    """A key of a policy that is no hyper-parameter of a model.

    Parameters
    ----------
    name : str
    meaning : str
        In one line.
    takes : str
        What its value may be: ``text``, ``texts`` (one or a list), ``boolean`` or ``strategy``.
    """

    name: str
    meaning: str
    takes: str


STRATEGIES = ("default", "early_stopping")

KEYS: tuple[Key, ...] = (
    Key("policy_type", "the model: any name that `shoal info` lists", "text"),
    Key("name", "what the model is called in tables", "text"),
    Key(
        "event_values",
        "the events (or the values, where a log has no events) whose rows count",
        "texts",
    ),
    Key(
        "strategy",
        "default: train all n_epochs; early_stopping: stop after `patience` of them",
        "strategy",
    ),
    Key("balance_labels", "not used: all rows that count are alike here", "boolean"),
)

# what hosted forms and other libraries call a hyper-parameter: the name that shoal has for it
OTHER_NAMES = {
    "learning_rate": "lr",
    "epochs": "n_epochs",
    "num_epochs": "n_epochs",
    "max_epochs": "n_epochs",
    "batchsize": "batch_size",
    "n_factors": "factors",
    "num_factors": "factors",
    "embedding_dim": "factors",
    "embedding_dims": "factors",
    "embedding_size": "factors",
    "rank": "factors",
    "regularization": "l2",
    "reg": "l2",
    "lambda": "l2",
    "lambda_": "l2",
    "reg_all": "l2",
    "lr_all": "lr",
    "early_stopping_step": "patience",
    "dropout_rate": "dropout",
    "hidden_size": "hidden",
    "events": "event_values",
    "type": "policy_type",
    "model": "policy_type",
}

# hyper-parameters of most models that are trained in epochs
STEPS = ("batch_size", "n_epochs", "lr", "device", "patience")


def why_not_used(kind: type[Recommender], key: str) -> str | None:
    """Why a model does not use a key that others use, in one sentence; None if none uses it.

    Parameters
    ----------
    kind : class of a model
    key : str
        None of the model's hyper-parameters.
    """
    if key == "balance_labels":
        return (
            f"{kind.name} learns from the rows that count, which all have one label: "
            "balance_labels is not used"
        )
    owners = [name for name, model in models().items() if key in model.model_fields]
    of_steps = key in (*STEPS, "strategy")
    if not owners and not of_steps:
        return None
    if of_steps and not kind.trained:
        return f"{kind.name} {_made(kind)}: {key} is not used"
    if key == "factors" and not kind.trained:
        return (
            (
                f"{kind.name} learns a weight for each pair of items and no vectors, so it has no "
                "factors: factors is not used"
            )
            if _has_pairs(kind)
            else f"{kind.name} learns no vectors of items: factors is not used"
        )
    some = ", ".join(owners[:4]) + (", …" if len(owners) > 4 else "")
    return f"{key} is a hyper-parameter of {some}, and {kind.name} has none: it is not used"


def _made(kind: type[Recommender]) -> str:
    """How a model that is not trained in epochs comes about."""
    if issubclass(kind, ClosedForm):
        return (
            "is solved in closed form and not trained in steps, so it has no epochs, learning "
            "rate, batches or device"
        )
    if not kind.personal:
        return "counts users and is not trained"
    return "is computed and not trained in steps, so it has no epochs, learning rate or batches"


def _has_pairs(kind: type[Recommender]) -> bool:
    return hasattr(kind, "weights")
