"""The checkpoint of a training whose processes hold parts of the weights, in a file for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from shoal.errors import TrainingError
from shoal.training.checkpoint import Store, Tensors
from shoal.training.world import World

if TYPE_CHECKING:
    from shoal.training.learner import Learner, Outcome


class PartStore:
    """The checkpoint of a training of which each process writes the part that it holds.

    Each keeps its last two: a process may have been lost when it had written the newest one and
    another had not. All go on from the newest that every process has.

    Parameters
    ----------
    folder, identity, pause
        As of a `checkpoint.Store`.
    world : World
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], pause: float, world: World
    ) -> None:
        self._world, self._folder = world, folder
        about = {**identity, "processes": world.size}
        part = f"-{world.rank + 1}-of-{world.size}"
        self._stores = [Store(folder, about, pause, f"{part}-{slot}") for slot in "ab"]

    @property
    def is_due(self) -> bool:
        """Whether the pause is over."""
        return all(store.is_due for store in self._stores)

    def sweep(self) -> None:
        """Remove the unfinished files of this process's part."""
        for store in self._stores:
            store.sweep()

    def save(self, learner: Learner, outcome: Outcome, kept: Tensors) -> None:
        """Write the state of this process's part at the end of an epoch, over the older one."""
        self._stores[0].save(learner, outcome, kept)
        self._stores.reverse()

    def load(self, learner: Learner, device: torch.device) -> tuple[Outcome, Tensors] | None:
        """Restore network and optimisers from the newest epoch that all processes have.

        Raises
        ------
        TrainingError
            As of `checkpoint.Store`, or the parts are not of one training.
        """
        epochs = [store.epoch() for store in self._stores]
        epoch = self._world.least(max(epochs))
        there = epoch == 0 or epoch in epochs
        if self._world.total(float(there)) < self._world.size:
            raise TrainingError(
                f"{self._folder}: what the processes have kept there is not of the same epoch: "
                "name a folder that all machines see, or delete the files to begin again"
            )
        if epoch == 0:
            return None
        if epochs[0] == epoch:  # the next is written over the other one
            self._stores.reverse()
        return self._stores[1].load(learner, device)
