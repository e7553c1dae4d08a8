"""What the training loop needs from a model, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from shoal.data.interactions import CSR
from shoal.kernels.arrays import Float
from shoal.training.batches import Batch


@dataclass(frozen=True)
class Phase:
    """A phase of each epoch, which trains some of the parameters; most models have one phase.

    Parameters
    ----------
    optimiser : torch.optim.Optimizer
        It holds the parameters that this phase changes.
    name : str
    passes : int
        Passes over the data in each epoch.
    schedule : callable, optional
        Gives the factor of the learning rates of an epoch (counted from 0).
    begin : callable, optional
        Called with the epoch (counted from 0) before its first batch.
    """

    optimiser: torch.optim.Optimizer
    name: str = "all"
    passes: int = 1
    schedule: Callable[[int], float] | None = None
    begin: Callable[[int], None] | None = None

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The parameters that this phase changes."""
        return [p for group in self.optimiser.param_groups for p in group["params"]]


@dataclass
class Clock:
    """How far training has come.

    Parameters
    ----------
    updates : int
        Optimiser updates so far, in all phases.
    rows : int
        Rows seen so far, for annealing that does not depend on the batch size.
    epoch : int
        Current epoch, counted from 0.
    phase : str
        Name of the current phase.
    """

    updates: int = 0
    rows: int = 0
    epoch: int = 0
    phase: str = "all"


class Learner(Protocol):
    """What a model gives to the training loop: network, phases, losses and scores."""

    @property
    def network(self) -> torch.nn.Module:
        """The network to train."""
        ...

    @property
    def phases(self) -> Sequence[Phase]:
        """The phases of an epoch, in their order."""
        ...

    def losses(
        self, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """Yield one or more losses of a batch, each a mean over its rows.

        The loop updates the parameters after each loss, before it asks for the next one.
        """
        ...

    def scores(self, rows: CSR) -> Float:
        """Return the scores of all columns for some training rows, by the network as it is now."""
        ...


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train, on what batches, and how to choose the best epoch.

    Parameters
    ----------
    n_epochs, batch_size : int
        Largest number of epochs; rows per batch, over all processes together.
    metric : str
        Name of the metric that `judge` returns; higher is better.
    every : int
        The network is evaluated every so many epochs.
    patience : int
        Evaluations without a new best metric until training stops; 0 never stops early.
    warm_up : int
        Epochs after which patience begins to count, for losses whose weights still change.
    identity : mapping
        Model, hyper-parameters and data; only a checkpoint with the same identity is continued.
    model : str
        Name of the model, for the training log, which may hold several.
    """

    n_epochs: int
    batch_size: int
    metric: str = "ndcg@100"
    every: int = 1
    patience: int = 0
    warm_up: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""


@dataclass
class Outcome:
    """The result of training so far.

    Parameters
    ----------
    curve : list of dict
        One entry for each epoch: epoch (from 1 on), updates, loss, seconds, and the metric.
    best_epoch : int
        The epoch with the best metric (from 1 on), whose weights are kept.
    best : float or None
        The metric of that epoch.
    stale : int
        Evaluations since the best one.
    clock : Clock
        How far training has come.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: float | None = None
    stale: int = 0
    clock: Clock = field(default_factory=Clock)
