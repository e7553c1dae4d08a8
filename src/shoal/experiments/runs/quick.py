"""What `--quick` makes of an experiment: the same file in small, which proves that it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shoal.base.composed import Composed
from shoal.base.recommender import Recommender
from shoal.errors import ModelError
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.parts import SplitPart

TRIALS = 2
# Largest values of what makes a fit long: passes over the data, and widths of networks.
_LARGEST = {
    "n_epochs": 2,
    "warm_up": 1,
    "hidden": 16,
    "factors": 16,
    "embedding": 16,
    "state_size": 16,
    "pseudo_users": 16,
    "depth": 2,
    "decoder_depth": 2,
    "nonzeros": 8,
    "pruning": 1,
    "max_iter": 20,
}


def quick_experiment(experiment: Experiment) -> Experiment:
    """The same experiment with one seed, and held-out parts that also a small log has.

    Parts that are numbers of users take their default share: 10,000 test users need a log of more.
    """
    split = experiment.split
    given = {name: getattr(split, name) for name in split.model_fields_set}
    shares = {
        name: value
        for name, value in given.items()
        if name not in ("test", "validation") or value is None or value < 1
    }
    changes = {"split": SplitPart(**shares), "seeds": experiment.seeds[:1]}
    return experiment.model_copy(update=changes)


def quick_entrant(entrant: Entrant) -> Entrant:
    """The same model with two epochs and small layers; what is made small is not searched."""
    small = _small(entrant.unfitted())
    space = entrant.space and {
        name: values for name, values in entrant.space.items() if name not in small
    }
    return replace(entrant, settings={**entrant.settings, **small}, space=space)


def _small(model: Recommender) -> dict[str, Any]:
    """The values that are changed."""
    small: dict[str, Any] = {}
    if isinstance(model, Composed):
        small |= model.with_parts(lambda part: part.model_copy(update=_small(part)))
    for name, largest in _LARGEST.items():
        value = getattr(model, name, None)
        if name in type(model).model_fields and isinstance(value, int) and value > largest:
            small[name] = largest
    try:
        type(model)(**{**model.model_dump(), **small})
    except ModelError:  # its values depend on one another in a way that is not known here
        return {name: small[name] for name in ("n_epochs",) if name in small}
    return small
