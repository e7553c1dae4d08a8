"""Lists of recommendations, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from shoal.data.titles import title_of


@dataclass(frozen=True)
class Reason:
    """One item of the history, and what it adds to a score (x_j·B_ji).

    Parameters
    ----------
    item : id
        Item of the history.
    contribution : float
        What it adds to the score, below zero where it speaks against the recommendation.
    attributes : dict
        Attributes of the item of the history.
    less : bool
        Whether it is an item of which less is wanted, instead of one of the history.
    """

    item: Any
    contribution: float
    attributes: dict[str, Any] = field(default_factory=dict)
    less: bool = False


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Parameters
    ----------
    rank : int
        1 for the best.
    item : id
    score : float
        Higher is better; scores of two models cannot be compared.
    attributes : dict
        Attributes of the item, such as its title.
    because : tuple of Reason
        What the items of the history add to the score, the strongest first, if it was asked for.
    cold : bool
        Whether nobody had the item in the training data, so that it is known by its vector alone.
    evidence : dict of str to float
        What of the score comes from ``behaviour`` and what from ``text``. The parts add up to the
        score; empty where no reasons were asked for or the model cannot tell the parts.
    """

    rank: int
    item: Any
    score: float
    attributes: dict[str, Any] = field(default_factory=dict)
    because: tuple[Reason, ...] = ()
    cold: bool = False
    evidence: dict[str, float] = field(default_factory=dict)

    @property
    def speaking_for(self) -> tuple[Reason, ...]:
        """The reasons that raise the score, the strongest first."""
        return tuple(r for r in self.because if r.contribution > 0)

    @property
    def speaking_against(self) -> tuple[Reason, ...]:
        """The reasons that lower the score, the strongest first."""
        return tuple(r for r in self.because if r.contribution < 0)


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
        Why there are fewer recommendations than were asked for; empty if there are not.
    fallback : str
        ``popularity`` where the model knows no item of the history, so that these are the items
        with most training users (their number is the score); else empty.
    notes : tuple of str
        What a person should know of the rules that were given: ids that are not in the catalogue.
    unranked : tuple
        Ids that `rank` was to put in order and could not, as the model knows nothing of them.
    """

    rows: tuple[Recommendation, ...]
    unknown: tuple[Any, ...] = ()
    shortfall: str = ""
    fallback: str = ""
    notes: tuple[str, ...] = ()
    unranked: tuple[Any, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What a person should know of the list beside its rows, a line for each."""
        lines = []
        if self.unknown:
            lines.append(f"unknown, left out: {', '.join(map(str, self.unknown))}")
        if self.fallback:
            lines.append(
                "the model knows no item of the history: these are the most popular items, and "
                "their scores are their training users"
            )
        if self.unranked:
            lines.append(f"unknown, not ranked: {', '.join(map(str, self.unranked))}")
        return lines + list(self.notes) + ([self.shortfall] if self.shortfall else [])

    @overload
    def __getitem__(self, position: int) -> Recommendation: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Recommendation, ...]: ...
    def __getitem__(self, position: int | slice) -> Recommendation | tuple[Recommendation, ...]:
        return self.rows[position]

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
                f"       {w.contribution:+.4f}  {reason_label(w)}"
                for w in r.because
                if not w.less or w.contribution
            ]
        return "\n".join([*lines, *self.remarks])


def label(item: Any, attributes: Mapping[str, Any]) -> str:
    """Write an item for people: its title and id, or its id alone."""
    title = title_of(attributes)
    return f"{title} [{item}]" if title else str(item)


def reason_label(reason: Reason) -> str:
    """Write the item of a reason for people: as `label` does, and marked where less is wanted."""
    return f"{'less: ' if reason.less else ''}{label(reason.item, reason.attributes)}"


def remarks(recommendation: Recommendation) -> str:
    """The parts of a score and whether the item is cold, in brackets, or an empty text."""
    parts = ", ".join(f"{name} {value:+.4f}" for name, value in recommendation.evidence.items())
    return (f" ({parts})" if parts else "") + (" (cold item)" if recommendation.cold else "")
