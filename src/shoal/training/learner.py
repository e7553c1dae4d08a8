"""What the training loop asks of a model, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from shoal.training.batches import Batch


@dataclass(frozen=True)
class Phase:
    """One of the turns that training takes within an epoch; most models have one.

    Parameters
    ----------
    optimiser : torch.optim.Optimizer
        Over the parameters that this phase changes.
    name : str
    passes : int
        Over the data, in each epoch.
    schedule : callable, optional
        Factor of the learning rates by epoch (from 0 on).
    begin : callable, optional
        Called with the epoch (from 0 on) before its first batch.
    """

    optimiser: torch.optim.Optimizer
    name: str = "all"
    passes: int = 1
    schedule: Callable[[int], float] | None = None
    begin: Callable[[int], None] | None = None

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """What it changes."""
        return [p for group in self.optimiser.param_groups for p in group["params"]]


@dataclass
class Clock:
    """Where training is.

    Parameters
    ----------
    updates : int
        Optimiser updates so far, all phases counted.
    rows : int
        Rows seen so far: updates × batch size, for annealing that does not hang on the batch size.
    epoch : int
        From 0 on.
    phase : str
    """

    updates: int = 0
    rows: int = 0
    epoch: int = 0
    phase: str = "all"


class Learner(Protocol):
    """What a model brings to the loop."""

    @property
    def network(self) -> torch.nn.Module:
        """Whose parameters are learned."""
        ...

    @property
    def phases(self) -> Sequence[Phase]:
        """The turns of an epoch."""
        ...

    def losses(
        self, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """Means over the rows of the batch; each one is an update before the next is asked for."""
        ...


@dataclass(frozen=True)
class TrainingPlan:
    """How long, in what portions, and what decides.

    Parameters
    ----------
    n_epochs, batch_size : int
        The batch is that of all processes together.
    metric : str
        Name of what `judge` gives; higher is better.
    every : int
        Epochs between two judgements.
    patience : int
        Judgements without a new best before training stops; 0 never stops early.
    warm_up : int
        Epochs after which patience begins to count, for losses whose weights still change.
    identity : mapping
        What a checkpoint must agree with to be continued: model, hyper-parameters, data.
    """

    n_epochs: int
    batch_size: int
    metric: str = "ndcg@100"
    every: int = 1
    patience: int = 0
    warm_up: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """How training went.

    Parameters
    ----------
    curve : list of dict
        One entry for each epoch: epoch (from 1 on), updates, loss, seconds, and the metric.
    best_epoch : int
        Whose weights the network has.
    best : float or None
        Their metric.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best: float | None = None
    stale: int = 0
    clock: Clock = field(default_factory=Clock)
