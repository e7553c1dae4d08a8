"""Successive halving: trainings that are behind others after the same epochs are ended early.

After each of a few numbers of epochs (the rungs, each `REDUCTION` times the one before) a training
goes on only if its best validation metric so far is among the best third of all trainings that have
come as far (Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020: the
variant that stops and does not wait for others). What a search tries in any case, the defaults
first, is never stopped; so there is always a complete trial to choose.

A trial that was stopped is kept with its score at that time, and is never chosen: it would be
compared with others at a moment that was chosen for its being behind. How many epochs are best is
not part of the outcome, since the final fit finds its own on the validation users.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from shoal.base.recommender import Recommender

if TYPE_CHECKING:
    import optuna

REDUCTION = 3  # a third of the trainings goes on at each rung
RUNGS = 3  # so the first rung is at 1/27 of all epochs


class Rule(Protocol):
    """Decides whether a training is to end after an epoch, from its best metric so far."""

    def __call__(self, epoch: int, best: float) -> bool:
        """Whether to end the training here."""
        ...


def first_rung(n_epochs: int) -> int:
    """After how many epochs the first trainings are stopped, if they make `n_epochs` at most."""
    return max(1, math.ceil(n_epochs / REDUCTION**RUNGS))


def epochs_of(model: Recommender) -> int:
    """Most epochs that a model is trained for; 0 if it is not trained, or in parts of its own."""
    return int(getattr(model, "n_epochs", 0)) if model.trained_parts() == (model,) else 0


class Rungs:
    """The trainings of one search in one process, by how good they were after so many epochs.

    Parameters
    ----------
    first : int
        Epochs of the first rung.
    reduction : int
        A rung's epochs, in multiples of the one before; so many times fewer trainings go on.
    """

    def __init__(self, first: int, reduction: int = REDUCTION) -> None:
        self._first, self._reduction = first, reduction
        self._values: dict[int, list[float]] = {}  # by epochs

    def behind(self, epoch: int, best: float) -> bool:
        """Whether a training is not among the best that have come to this rung; it is noted there.

        Epochs between two rungs stop no training.
        """
        rung = self._first
        while rung < epoch:
            rung *= self._reduction
        if rung != epoch:
            return False
        rivals = self._values.setdefault(rung, [])
        rivals.append(best)
        go_on = max(1, len(rivals) // self._reduction)
        return best < sorted(rivals, reverse=True)[go_on - 1]


class Watch:
    """What a training tells after each epoch (`Run.after_epoch`), and whether it was stopped.

    Parameters
    ----------
    rule : Rule
    n_epochs : int
        Most epochs of this training; after the last one there is nothing to save.

    Attributes
    ----------
    epochs : int
        Epochs so far.
    stopped : bool
        Whether the rule ended the training.
    """

    def __init__(self, rule: Rule, n_epochs: int) -> None:
        self._rule, self._n_epochs, self._best = rule, n_epochs, -math.inf
        self.epochs, self.stopped = 0, False

    def __call__(self, epoch: int, metric: float) -> bool:
        """Whether to end the training after this epoch with this metric."""
        self.epochs, self._best = epoch, max(self._best, metric)
        self.stopped = self._rule(epoch, self._best) and epoch < self._n_epochs
        return self.stopped


def only_told(rule: Rule) -> Rule:
    """A rule that knows of a training as a rival of others, and never ends it."""

    def never(epoch: int, best: float) -> bool:
        rule(epoch, best)
        return False

    return never


def rule_of(trial: optuna.Trial) -> Rule:
    """The rule of an Optuna study, whose pruner knows the trials of all its processes."""

    def behind(epoch: int, best: float) -> bool:
        trial.report(best, epoch)
        return bool(trial.should_prune())

    return behind


def pruner(model: Recommender) -> optuna.pruners.BasePruner:
    """Optuna's successive halving for a model that is trained; no pruning for others.

    Parameters
    ----------
    model : Recommender
        With the defaults and what is fixed in the search.
    """
    import optuna

    epochs = epochs_of(model)
    if not epochs:
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(first_rung(epochs), REDUCTION)
