"""Lists of recommendations, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload


@dataclass(frozen=True)
class Reason:
    """One item of the history, and what it adds to a score (x_j·B_ji)."""

    item: Any
    contribution: float
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Parameters
    ----------
    rank : int
    item : id
    score : float
    attributes : dict
    because : tuple of Reason
    cold : bool
        Nobody had it in the training data: it is known by its vector alone.
    evidence : dict of str to float
        What of the score comes from ``behaviour`` and what from ``text``, where reasons were asked
        of a model that tells; they add up to it.
    """

    rank: int
    item: Any
    score: float
    attributes: dict[str, Any] = field(default_factory=dict)
    because: tuple[Reason, ...] = ()
    cold: bool = False
    evidence: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendations(Sequence[Recommendation]):
    """An ordered list of recommendations.

    Parameters
    ----------
    rows : tuple of Recommendation
        Best first; never more than were asked for.
    unknown : tuple
        Ids of the history that the model does not know; they were left out.
    shortfall : str
        Why there are fewer than k, or empty.
    """

    rows: tuple[Recommendation, ...]
    unknown: tuple[Any, ...] = ()
    shortfall: str = ""

    @overload
    def __getitem__(self, at: int) -> Recommendation: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Recommendation, ...]: ...
    def __getitem__(self, at: int | slice) -> Recommendation | tuple[Recommendation, ...]:
        return self.rows[at]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def items(self) -> list[Any]:
        """The recommended ids, best first."""
        return [r.item for r in self.rows]

    def __str__(self) -> str:
        lines = []
        for r in self.rows:
            lines.append(f"{r.rank:3}. {label(r.item, r.attributes)}  {r.score:.4f}{remarks(r)}")
            lines += [
                f"       {w.contribution:+.4f}  {label(w.item, w.attributes)}" for w in r.because
            ]
        if self.unknown:
            lines.append(f"unknown, left out: {', '.join(map(str, self.unknown))}")
        if self.shortfall:
            lines.append(self.shortfall)
        return "\n".join(lines)


def label(item: Any, attributes: Mapping[str, Any]) -> str:
    """An item for people: its title and id, or its id."""
    title = attributes.get("title") or attributes.get("name")
    return f"{title} [{item}]" if title else str(item)


def remarks(found: Recommendation) -> str:
    """What else there is to say of a score: its parts, and that the item is cold."""
    parts = ", ".join(f"{name} {value:+.4f}" for name, value in found.evidence.items())
    return (f" ({parts})" if parts else "") + (" (cold item)" if found.cold else "")
