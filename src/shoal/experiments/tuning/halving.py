"""Successive halving: trainings that are behind others after the same epochs are ended early.

After a quarter and after a half of all epochs (the rungs) a training goes on only if its best
validation metric so far is among the better half of all trainings that have come as far, rounded up
(Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020: the variant that
stops and does not wait for others). What a search tries in any case, the defaults first, is never
stopped; so there is always a complete trial to choose.

The numbers are measured (benchmarks/tuning). Optuna's `SuccessiveHalvingPruner` rounds down, so of
three trainings one goes on and of five two. In searches of some twenty trials that stops good ones:
small learning rates are behind at first, and ahead in the end. So the rule is here.

A trial that was stopped is kept with its score at that time, and is never chosen: it would be
compared with others at a moment that was chosen for its being behind. How many epochs are best is
not part of the outcome, since the final fit finds its own on the validation users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from shoal.base.recommender import Recommender

if TYPE_CHECKING:
    import optuna

FIRST = 4  # the first rung is after so many-th of all epochs
REDUCTION = 2  # epochs of a rung, in multiples of the one before; so many-th of trainings go on


class Rule(Protocol):
    """Decides whether a training is to end after an epoch, from its best metric so far."""

    def __call__(self, epoch: int, best: float) -> bool:
        """Whether to end the training here."""
        ...


def epochs_of(model: Recommender) -> int:
    """Most epochs that a model is trained for; 0 if it is not trained, or in parts of its own."""
    return int(getattr(model, "n_epochs", 0)) if model.trained_parts() == (model,) else 0


def first_rung(n_epochs: int) -> int:
    """After how many epochs the first trainings are stopped, if they make `n_epochs` at most."""
    return max(1, math.ceil(n_epochs / FIRST))


def is_rung(epoch: int, first: int) -> bool:
    """Whether trainings are compared after so many epochs."""
    rung = first
    while rung < epoch:
        rung *= REDUCTION
    return rung == epoch


def is_behind(best: float, rivals: Sequence[float]) -> bool:
    """Whether a training is not among the better half of those at a rung, itself among them."""
    go_on = math.ceil(len(rivals) / REDUCTION)
    return best < sorted(rivals, reverse=True)[go_on - 1]


class Rungs:
    """The trainings of one search in one process, by how good they were after so many epochs.

    Parameters
    ----------
    first : int
        Epochs of the first rung.
    values : mapping of epochs to values, optional
        Those of trainings that others made.
    """

    def __init__(self, first: int, values: Mapping[int, Sequence[float]] | None = None) -> None:
        self._first = first
        self._values = {epoch: list(several) for epoch, several in (values or {}).items()}

    def values(self) -> dict[int, list[float]]:
        """All values so far, by epochs."""
        return {epoch: list(several) for epoch, several in self._values.items()}

    def behind(self, epoch: int, best: float) -> bool:
        """Whether a training is behind at this epoch, if that is a rung; it is noted there."""
        if not is_rung(epoch, self._first):
            return False
        rivals = self._values.setdefault(epoch, [])
        rivals.append(best)
        return is_behind(best, rivals)


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


def rule_of(trial: optuna.Trial, first: int) -> Rule:
    """The rule for a trial of an Optuna study, among those of all processes at it.

    Parameters
    ----------
    trial : optuna.Trial
        It reports its values at the rungs.
    first : int
        Epochs of the first rung.
    """

    def behind(epoch: int, best: float) -> bool:
        if not is_rung(epoch, first):
            return False
        trial.report(best, epoch)
        told = (one.intermediate_values for one in trial.study.get_trials(deepcopy=False))
        return is_behind(best, [values[epoch] for values in told if epoch in values])

    return behind
