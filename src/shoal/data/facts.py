"""What is known of a log without a look at its rows, which may be on other machines."""

from __future__ import annotations

from typing import Protocol

from shoal.data.report import PreparationStep
from shoal.data.size import Size
from shoal.kernels.arrays import Float


class LogFacts(Protocol):
    """What `Interactions`, and a log whose rows are elsewhere, say of themselves."""

    @property
    def n_users(self) -> int:
        """Number of users."""

    @property
    def n_items(self) -> int:
        """Number of items."""

    def __len__(self) -> int:
        """Number of interactions."""

    @property
    def size(self) -> Size:
        """All three numbers."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the log was read."""

    @property
    def report(self) -> tuple[PreparationStep, ...]:
        """What each step of the preparation dropped."""

    @property
    def item_vectors(self) -> Float | None:
        """What is known of the items beside the log, (n_items, d)."""

    @property
    def latest_time(self) -> float | None:
        """The time of the newest interaction, if the log has times."""


class LogElsewhere:
    """Base of a log whose rows other machines hold: an `Executor` fits models to it."""
