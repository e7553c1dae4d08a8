"""What the preparation of a log dropped, step by step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PreparationStep:
    """One step of the preparation, and what it dropped."""

    name: str
    rows_in: int
    rows_kept: int
    why: str

    @property
    def dropped(self) -> int:
        """Rows that did not pass."""
        return self.rows_in - self.rows_kept

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.rows_in:,} → {self.rows_kept:,} "
            f"({self.dropped:,} dropped: {self.why})"
        )
