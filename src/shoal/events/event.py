"""Events as callers give them and get them back, and what the store says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]  # of a table, by the names of its columns


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a user did with an item.

    Parameters
    ----------
    user, item : str, int or UUID
        At most 256 characters, no control characters. They are kept as text: 1193 and "1193" are
        the same id.
    type : str
        Such as "view" or "purchase"; at most 64 characters.
    value : float, optional
        Such as a rating or an amount; None counts as 1.
    time : float, datetime or ISO date, optional
        Seconds since 1970; None is the time at which the event is stored. Times before 1970, or
        more than a day in the future, are refused.
    request_id : str, optional
        The list that the user acted on (`EventStore.impressions`).
    id : str, optional
        A name for this event: a second event with it is a duplicate, which is not stored again.
    """

    user: Any
    item: Any
    type: str = "view"
    value: float | None = None
    time: Any = None
    request_id: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list that was shown in answer to a request.

    Parameters
    ----------
    request_id : str
        Events with this id belong to the list. A second list with it is not stored.
    user : id or None
    items : sequence of ids
        The best item first.
    model, version : str
        Who made the list.
    time : float, datetime or ISO date, optional
        As of an event.
    experiment, variant : str, optional
        The experiment that this request was part of, and the variant by which it was answered;
        both or none.
    """

    request_id: str
    user: Any
    items: Sequence[Any]
    model: str
    version: str
    time: Any = None
    experiment: str | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the events of one call, once it is on the disk.

    Parameters
    ----------
    accepted : int
        Events and lists that are stored now.
    duplicates : int
        Events and lists that were stored before: their id, or the key of the call, was seen.
    deleted : int
        Events and lists that are left out since their user was deleted after their time.
    lists : int
        How many of those that are stored now are lists.
    deleted_lists : int
        How many of those that are left out are lists.
    """

    accepted: int = 0
    duplicates: int = 0
    deleted: int = 0
    lists: int = 0
    deleted_lists: int = 0


@dataclass(frozen=True, slots=True)
class Clicks:
    """How often users acted on what a model showed them.

    Parameters
    ----------
    model, version : str
        Who made the lists.
    type : str or None
        Type of the events; None where no list of this version led to any event.
    lists, impressions : int
        Lists that were shown, and the items in them.
    clicks : int
        Items of these lists with an event of this type; repeated events count once.
    rate : float
        clicks / impressions.
    """

    model: str
    version: str
    type: str | None
    lists: int
    impressions: int
    clicks: int
    rate: float


@dataclass(frozen=True, slots=True)
class ExperimentList:
    """A list that was shown to somebody in an experiment.

    Parameters
    ----------
    user : str or None
    variant : str
    time : float
        When it was shown, in seconds since 1970.
    items : tuple of str
        What was shown, the best first.
    clicked : frozenset of str
        Items with an event of the type that counts as a click, which need not be among `items`.
    """

    user: str | None
    variant: str
    time: float
    items: tuple[str, ...]
    clicked: frozenset[str]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A decision about an experiment.

    Parameters
    ----------
    variant : str or None
        What everybody gets from then on; None where an earlier decision was undone.
    time : float
        Seconds since 1970.
    """

    variant: str | None
    time: float


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a database of events holds.

    Parameters
    ----------
    place : str
        Path or address, without a password.
    schema_version : int
    events, lists, users, deleted_users : int
        Numbers of rows, of distinct users with events, and of users that were deleted.
    types : dict of str to int
        Number of events by type.
    oldest, newest : float or None
        Times of events, in seconds since 1970.
    bytes : int or None
        Size of the database, where it is known.
    """

    place: str
    schema_version: int
    events: int
    lists: int
    users: int
    deleted_users: int
    types: dict[str, int]
    oldest: float | None
    newest: float | None
    bytes: int | None
