"""Lists of recommendations that any program made: user, item and rank, as they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from shoal.data.columns import as_written, find_roles, folded, is_known, is_rank, quoted
from shoal.data.dialect import TextRules
from shoal.data.ids import Ids, encode_written
from shoal.data.rows import RowRules, rows_by_role
from shoal.data.sources import UNREADABLE, Source, explained, open_source
from shoal.data.time_formats import TimeFormat
from shoal.errors import DataError
from shoal.forks import uses_polars
from shoal.kernels.arrays import Int, Long

ROLES = ("user", "item", "rank", "score")
_SCORES = ("score", "scores", "prediction", "predicted", "relevance", "value", "rating")
_LARGEST_RANK = 2**53
_OPTION = "--list-columns"


@dataclass(frozen=True)
class RankedLists:
    """The rows of a table of lists; each user has an item once, and a place once.

    Parameters
    ----------
    name : str
        Name for messages: the file's path, or "the frame".
    users, items : Ids
        All that stand in the table.
    user_codes, item_codes : (n,) int32
        The user and the item of each row, as positions in these ids.
    places : (n,) int64
        The place of each row in its user's list, from 0 on.
    notes : tuple of str
        Which columns were taken, in words for the user.
    """

    name: str
    users: Ids
    items: Ids
    user_codes: Int
    item_codes: Int
    places: Long
    notes: tuple[str, ...] = ()


def read_lists(lists: Any, columns: Mapping[str, str] | None = None) -> RankedLists:
    """Read lists of recommendations.

    The place of an item is its rank: from 1 on, or from 0 on where the table has a rank 0. Where
    no column holds ranks, the items of a user stand in the order of their scores, the highest
    first, and where there are no scores either, or scores are equal, in the order of the rows.

    Parameters
    ----------
    lists : path, frame or mapping
        Any file or frame that `shoal.read` reads, with a row for each user and item, or a row for
        each user with a list of items (Parquet, JSON lines, frames); or a mapping of users to
        lists of items.
    columns : mapping of role to column name, optional
        Roles are ``user``, ``item``, ``rank`` and ``score``; those not given are guessed from
        common names or, in a file without a header, from the order user, item, rank. The column
        name "none" leaves a role empty.

    Raises
    ------
    DataError
        A column is missing or holds what it cannot hold, or a user has an item or a rank twice;
        the message names the first row or user.
    """
    uses_polars("reading lists")
    if isinstance(lists, Mapping):
        lists = _of_mapping(lists)
    given = dict(columns or {})
    rules = TextRules(
        names=tuple(given.values()), is_usual_name=is_known, option=_OPTION, says_lines=False
    )
    source = _with_typed_lists(open_source(lists, rules))
    with explained(source):
        roles, notes = _roles(source, given)
        frame = _rows(_one_item_a_row(source, roles), roles)
    if frame.is_empty():
        raise DataError(f"{source.name} has no row")
    _refuse_missing(frame, source, roles)
    codes = {}
    for role in ("user", "item"):
        where = f"column {roles[role]!r} ({role}) of {source.name}"
        codes[role] = encode_written(frame[role], where, typed=source.typed)
    (user_codes, users), (item_codes, items) = codes["user"], codes["item"]
    places = _places(frame, source, roles, user_codes)
    found = RankedLists(source.name, users, items, user_codes, item_codes, places, tuple(notes))
    _refuse_twice(found, roles)
    return found


def _of_mapping(lists: Mapping[Any, Any]) -> pl.DataFrame:
    """A row for each user and item of a mapping of users to lists of items."""
    users: list[Any] = []
    items: list[Any] = []
    for user, own in lists.items():
        if isinstance(own, str | bytes | Set | Mapping) or not isinstance(own, Iterable):
            raise DataError(
                f"the list of user {user!r} is {own!r:.60}: give a list of items, the best first"
            )
        items.extend(own)
        users += [user] * (len(items) - len(users))
    columns: dict[str, pl.Series] = {}
    for role, ids in (("user", users), ("item", items)):
        try:
            columns[role] = pl.Series(role, ids)
        except TypeError as error:
            kinds = " and ".join(sorted({type(one).__name__ for one in ids}))
            raise DataError(
                f"the lists have {role} ids of several types ({kinds}): write them all as the "
                "log has them"
            ) from error
        if columns[role].dtype.is_nested():
            raise DataError(f"the {role}s of the lists are lists themselves: give {role} ids")
    return pl.DataFrame(columns)


def _with_typed_lists(source: Source) -> Source:
    """The source with columns of Python lists, as pandas has them, as columns of lists."""
    schema = source.frame.collect_schema()
    objects = [name for name, kind in schema.items() if kind == pl.Object]
    if not objects:
        return source
    frame = source.frame.collect()
    for name in objects:
        values = frame[name].to_list()
        if all(isinstance(value, list | tuple | np.ndarray) for value in values):
            try:
                column = pl.Series(name, [list(value) for value in values], strict=True)
            except (TypeError, *UNREADABLE):
                continue  # ids of several types are refused where they are read
            frame = frame.with_columns(column)
    return replace(source, frame=frame.lazy())


def _roles(source: Source, given: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The columns of user and item, and that of the rank or else of the score, and notes."""
    names = source.frame.collect_schema().names()
    for role in given:
        if role not in ROLES:
            raise DataError(
                f"no such role {role!r}: columns of lists have the roles {', '.join(ROLES)}"
            )
    given = as_written(source, names, given)
    ids = {role: column for role, column in given.items() if role in ("user", "item")}
    ids_only = ids | {"value": "none", "time": "none"}
    found, _ = find_roles(source, names, ids_only, option=_OPTION)
    rest = [name for name in names if name not in found.values()]
    by_name = source.has_header or bool(ids)
    guesses = {
        "rank": [name for name in rest if is_rank(name)] if by_name else rest[:1],
        "score": sorted(
            (name for name in rest if by_name and folded(name) in _SCORES),
            key=lambda name: _SCORES.index(folded(name)),
        ),
    }
    if given.get("score", "none") != "none":
        given.setdefault("rank", "none")
    for role in ("rank", "score"):  # a rank says it all: scores are not looked at then
        column = given.get(role) or (guesses[role] or ["none"])[0]
        if column != "none":
            found[role] = column
            break
    notes = [f"columns: {', '.join(f'{role}={quoted(name)}' for role, name in found.items())}"]
    if "rank" not in found and "score" not in found:
        notes.append("no column of ranks or scores: items stand in the order of the rows")
    elif "rank" not in found:
        notes.append("items stand in the order of their scores, the highest first")
    return found, notes


def _one_item_a_row(source: Source, roles: Mapping[str, str]) -> Source:
    """The source with a row for each item, where its rows hold lists of items."""
    schema = source.frame.collect_schema()
    long = [c for c in roles.values() if isinstance(schema[c], pl.List | pl.Array)]
    if not long or roles["item"] not in long:
        return source
    fixed = [pl.col(c).arr.to_list() for c in long if isinstance(schema[c], pl.Array)]
    frame = source.frame.with_columns(fixed).filter(pl.col(roles["item"]).list.len() > 0)
    return replace(source, frame=frame.explode(long))


def _rows(source: Source, roles: Mapping[str, str]) -> pl.DataFrame:
    """The columns ``row``, ``user``, ``item``, and ``value``: the rank or else the score."""
    number = roles.get("rank") or roles.get("score")
    columns = {role: roles[role] for role in ("user", "item")}
    if number is not None:
        columns["value"] = number
    return rows_by_role(source, columns, RowRules(), TimeFormat()).collect()


def _refuse_missing(frame: pl.DataFrame, source: Source, roles: Mapping[str, str]) -> None:
    """Refuse rows without a user or an item, or whose rank or score is no number."""
    number = "rank" if "rank" in roles else "score"
    for role, column in (("user", "user"), ("item", "item"), (number, "value")):
        if column not in frame.columns:
            continue
        values = frame[column]
        lacks = values.is_null()
        if values.dtype.is_float():
            lacks |= ~values.is_finite().fill_null(value=False)
        if lacks.any():
            rows = [int(row) + 1 for row in frame["row"].filter(lacks).head(3)]
            what = "missing or no finite number" if column == "value" else "missing"
            raise DataError(
                f"{source.name}: column {roles[role]!r} ({role}) is {what} in {lacks.sum():,} of "
                f"{len(frame):,} rows, first in row {', '.join(map(str, rows))}"
            )


def _places(frame: pl.DataFrame, source: Source, roles: Mapping[str, str], user_codes: Int) -> Long:
    """The place of each row in the list of its user, from 0 on."""
    if "rank" in roles:
        kind = source.frame.collect_schema()[roles["rank"]]
        if kind == pl.Boolean or kind.is_temporal():
            raise DataError(
                f"{source.name}: column {roles['rank']!r} (rank) holds {kind}: ranks are whole "
                "numbers from 1 (or 0) on"
            )
        ranks = frame["value"].to_numpy()
        odd = (ranks != np.round(ranks)) | (ranks < 0) | (ranks > _LARGEST_RANK)
        if odd.any():
            first = int(np.flatnonzero(odd)[0])
            raise DataError(
                f"{source.name}: column {roles['rank']!r} (rank) holds {ranks[first]:g} in row "
                f"{int(frame['row'][first]) + 1}: ranks are whole numbers from 1 (or 0) on. If "
                f"it holds scores, say so: --list-columns score={quoted(roles['rank'])}"
            )
        places: Long = ranks.astype(np.int64) - (0 if (ranks == 0).any() else 1)
        return places
    rows = np.arange(len(frame))
    scores = frame["value"].to_numpy() if "score" in roles else np.zeros(len(frame))
    in_order = np.lexsort((rows, -scores, user_codes))
    ends = np.cumsum(np.bincount(user_codes))
    places = np.empty(len(frame), np.int64)
    places[in_order] = rows - np.concatenate([[0], ends[:-1]])[user_codes[in_order]]
    return places


def _refuse_twice(lists: RankedLists, roles: Mapping[str, str]) -> None:
    """Refuse lists in which a user has the same item or the same rank in two rows."""
    for what, numbers in (("item", lists.item_codes), ("rank", lists.places)):
        order = np.lexsort((numbers, lists.user_codes))
        users, sorted_ = lists.user_codes[order], numbers[order]
        same = np.flatnonzero((users[1:] == users[:-1]) & (sorted_[1:] == sorted_[:-1]))
        if same.size == 0:
            continue
        at = order[same[0]]
        user = lists.users.take([lists.user_codes[at]])[0]
        if what == "item":
            item = lists.items.take([lists.item_codes[at]])[0]
            raise DataError(
                f"{lists.name}: user {user!r} has the item {item!r} more than once; a list names "
                f"an item once ({same.size:,} rows too many). Are {quoted(roles['user'])!r} and "
                f"{quoted(roles['item'])!r} the right columns (--list-columns user=…,item=…)?"
            )
        raise DataError(
            f"{lists.name}: user {user!r} has two items of the same rank ({same.size:,} rows too "
            f"many). If {roles['rank']!r} holds no ranks but scores, say so: --list-columns "
            f"score={quoted(roles['rank'])}; to take the order of the rows: --list-columns "
            "rank=none,score=none"
        )
