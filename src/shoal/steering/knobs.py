"""`knobs`: the named knobs of a model. `Knobs.shifts` turns levels of them into what is added.

A knob is a name and a membership m of every item, from 0 to 1. With knobs at the levels l, the
score of item i becomes

    score_i + unit · Σ_knobs l · m_i

where the unit is the distance between the person's best score and the 100th best
(`shoal.kernels.shifts`): a level of 1 lifts a full member from about rank 100 to the top.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from shoal.base.factored import FactoredRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import HistoryError, ModelError
from shoal.inference.rules import check_model
from shoal.kernels.arrays import Float, Long
from shoal.run import Run
from shoal.steering.clusters import cluster_memberships
from shoal.steering.levels import check_level
from shoal.steering.naming import Named, named
from shoal.steering.units import unit_memberships

MOST = 24  # knobs of a model
MOSTLY = 0.6  # share of members with the value of the name, below which it holds mostly
SHOWN = 6  # items that tell what a knob is made of
_LISTED = 30  # names in an error message


@dataclass(frozen=True)
class Knob:
    """A named group of items.

    Parameters
    ----------
    name : str
    items : tuple of ids
        What it is made of: those by which it is named, if any, then the items with the strongest
        membership among those that many had.
    n_items : int
        Number of items that it moves.
    share : float or None
        Share of the membership that falls on items with the value that gave the name; None for a
        knob that is named by two of its items.
    base : float or None
        Share of the catalogue with this value.
    weights : (n_items,) float32
        The membership of each item of the catalogue, from 0 to 1.
    """

    name: str
    items: tuple[Any, ...]
    n_items: int
    share: float | None = None
    base: float | None = None
    weights: Float = field(default_factory=lambda: np.empty(0, np.float32), repr=False)

    @property
    def is_mostly(self) -> bool:
        """Whether the value that gave the name holds for less than 60 % of the members."""
        return self.share is not None and self.share < MOSTLY

    def to_dict(self) -> dict[str, Any]:
        """All but the weights, as JSON has it."""
        return {
            "name": self.name,
            "items": list(self.items),
            "n_items": self.n_items,
            "share": self.share,
            "base": self.base,
        }


@dataclass(frozen=True)
class Knobs(Sequence[Knob]):
    """The knobs of a model, those that are told by their names best come first.

    Parameters
    ----------
    model : str
        Name of the model.
    source : str
        What they are made of: ``units`` of sparse item vectors, or ``clusters`` of items.
    rows : tuple of Knob
    size : int
        Number of items of the catalogue.
    are_unnamed : bool
        Whether they are named by ids of items alone, for want of a table of items.
    """

    model: str
    source: str
    rows: tuple[Knob, ...]
    size: int
    are_unnamed: bool = False

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return [knob.name for knob in self.rows]

    @overload
    def __getitem__(self, position: int) -> Knob: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Knob, ...]: ...
    def __getitem__(self, position: int | slice) -> Knob | tuple[Knob, ...]:
        return self.rows[position]

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, name: Any) -> Knob:
        """The knob of this name; upper and lower case do not matter.

        Raises
        ------
        HistoryError
            There is none; the message names the nearest one and lists them.
        """
        wanted = str(name).strip()
        for same in (lambda text: text, str.casefold):
            for knob in self.rows:
                if same(knob.name) == same(wanted):
                    return knob
        folded = {knob.name.casefold(): knob.name for knob in self.rows}
        near = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.5)
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ":"
        listed = ", ".join(self.names[:_LISTED]) or "none"
        raise HistoryError(f"there is no knob {wanted[:80]!r}{hint} {self.model} has: {listed}")

    def levels(self, levels: Mapping[str, float]) -> dict[str, float]:
        """Check levels, and give them by the names as they are written here; zeros are left out.

        Raises
        ------
        HistoryError
            A knob is unknown or named twice, or a level is no number from −3 to 3.
        """
        if not isinstance(levels, Mapping):
            raise HistoryError(
                f"steer={levels!r:.80}: give levels by the names of knobs, such as "
                '{"Comedy": 0.5}'
            )
        checked: dict[str, float] = {}
        for name, level in levels.items():
            knob = self.find(name)
            number = check_level(level, knob.name)
            if knob.name in checked:
                raise HistoryError(f"the knob {knob.name!r} has two levels: give one")
            checked[knob.name] = number
        return {name: level for name, level in checked.items() if level}

    def shifts(self, levels: Mapping[str, float]) -> Float:
        """What `shoal.recommend(…, steer=…)` takes: how far levels move each item.

        Parameters
        ----------
        levels : mapping of str to float
            From −3 (far away from the items of the knob) to 3 (far towards them), by name.

        Returns
        -------
        (n_items,) float32
            Σ level · membership. All 0 if all levels are.

        Raises
        ------
        HistoryError
            A knob is unknown or named twice, or a level is no number from −3 to 3.
        """
        total = np.zeros(self.size, np.float64)
        for name, level in self.levels(levels).items():
            total += level * self.find(name).weights.astype(np.float64)
        return total.astype(np.float32)


def knobs(model: Recommender, most: int = MOST, *, run: Run | None = None) -> Knobs:
    """Find the knobs of a model and name them.

    A model with sparse item vectors (compressed-elsa) has its own: each side of each unit, a column
    of A, is a candidate. For other models they are clusters of items: of the vectors of items where
    the model has them, else of the scores that the model gives for each item alone. Names come from
    the attributes of the items, then from words of their titles (`shoal.steering.naming`).

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    most : int
        Number of knobs; there may be fewer. `shoal recommend --steer` and services take the
        default: another number can give other knobs.
    run : Run, optional
        Progress.

    Returns
    -------
    Knobs

    Raises
    ------
    ModelError
        The model gives everybody the same list, predicts ratings, or knows too few items.
    HistoryError
        `most` is out of range.
    """
    check_model(model)
    check_can_steer(model)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= 100:
        raise HistoryError(f"most={most!r:.40}: ask for 1 to 100 knobs")
    run = run or Run()
    sparse = model.sparse_vectors if isinstance(model, FactoredRecommender) else None
    if sparse is not None:
        source, memberships = "units", unit_memberships(model, sparse)
    else:
        source, memberships = "clusters", cluster_memberships(model, most, run)
    if memberships.shape[0] == 0:
        raise ModelError(
            f"{model.name} shows no groups of items that could be turned up or down: too few of "
            "its items are alike"
        )
    merge = source == "clusters"
    memberships, names = named(model, memberships, most, merge=merge)
    return Knobs(
        model.name,
        source,
        tuple(_knob(model, memberships, name) for name in names),
        model.n_items,
        are_unnamed=model.item_table.width <= 1,
    )


def check_can_steer(model: Recommender) -> None:
    """Refuse a model that has no knobs.

    Raises
    ------
    ModelError
        It gives everybody the same list, or predicts ratings.
    """
    if model.task != "ranking":
        raise ModelError(
            f"{model.name} predicts ratings, and lists are steered: take a model that ranks "
            "(ease, compressed-elsa, …)"
        )
    if not model.personal:
        raise ModelError(
            f"{model.name} recommends the same to everyone, so it does not know which items are "
            "alike and has no knobs: take another model (compressed-elsa, ease, …)"
        )


def _knob(model: Recommender, memberships: CSR, name: Named) -> Knob:
    """One row of the memberships (n_knobs, n_items) with its name."""
    extent = slice(memberships.indptr[name.row], memberships.indptr[name.row + 1])
    codes, values = memberships.indices[extent], memberships.data[extent]
    weights = np.zeros(model.n_items, np.float32)
    weights[codes] = values
    strongest = codes[strongest_members(model, codes, values)].tolist()
    shown = list(dict.fromkeys([*name.items, *strongest]))[:SHOWN]
    return Knob(
        name.text,
        tuple(model.items.take(np.array(shown, np.int32))),
        len(codes),
        name.share,
        name.base,
        weights,
    )


def strongest_members(model: Recommender, codes: Long, values: Float) -> Long:
    """The order in which members tell best what a knob is made of: strong ones that many know."""
    known = np.ones(len(codes)) if model.item_counts is None else model.item_counts[codes]
    return np.argsort(-values * np.log1p(known), kind="stable")
