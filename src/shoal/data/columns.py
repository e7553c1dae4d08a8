"""Which column is the user, the item, the value, the time: given, or guessed from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.data.sources import Source
from shoal.errors import DataError

ROLES = ("user", "item", "value", "time")

# in order of preference; compared without case, spaces, dots, dashes and underscores
_RANKS = ("pos", "position", "order", "rank")  # a place in each user's own sequence
_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "users", "username", "useridx", "customer", "customerid"),
        *("visitor", "visitorid", "member", "memberid", "account", "accountid", "profileid"),
        *("reviewerid", "reviewer", "clientid", "client", "session", "sessionid", "u"),
    ),
    "item": (
        *("item", "itemid", "iid", "items", "itemidx", "movie", "movieid", "product", "productid"),
        *("article", "articleid", "song", "songid", "track", "trackid", "artist", "artistid"),
        *("book", "bookid", "parentasin", "asin", "isbn", "sku", "business", "businessid"),
        *("content", "contentid", "video", "videoid", "game", "gameid", "news", "newsid", "i"),
    ),
    "value": (
        *("value", "rating", "ratings", "score", "stars", "overall", "label", "weight"),
        *("count", "plays", "playcount", "quantity", "clicks", "views", "confidence"),
    ),
    "time": (
        *("time", "timestamp", "ts", "datetime", "date", "createdat", "eventtime", "eventts"),
        *("unixreviewtime", "unixtime", *_RANKS),
    ),
}


def _folded(name: str) -> str:
    """A column name in lower case, with letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def usual_names(role: str, names: list[str]) -> list[str]:
    """Those of `names` that are usual for a role, the most usual first."""
    known = _NAMES[role]
    ranked = sorted((known.index(_folded(n)), n) for n in names if _folded(n) in known)
    return [name for _, name in ranked]


def is_usual_name(text: str) -> bool:
    """Whether a text is a usual name of a column, in whatever role."""
    return any(usual_names(role, [text]) for role in ROLES)


def is_rank(column: str) -> bool:
    """Whether a time column, by its name, only orders the interactions of one user."""
    return _folded(column) in _RANKS


def find_roles(
    source: Source, names: list[str], given: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str]]:
    """Assign columns to roles.

    Parameters
    ----------
    source : Source
    names : list of str
        Its columns.
    given : mapping role → column, or None
        The columns that the caller named. The others are guessed from their names or, in a file
        without a header for which neither user nor item is given, from their order. The column
        name "none" leaves a role empty.

    Returns
    -------
    roles : dict role → column
    notes : list of str
        What was guessed, in words for the user.

    Raises
    ------
    DataError
        A given column is not there or given twice, or none could be found for user or item.
    """
    given = dict(given or {})
    _check_given(source, names, given)
    if source.has_header or {"user", "item"} & set(given):
        roles, notes = _guess_by_name(names, given)
    else:
        roles = _guess_by_order(names, given)
        notes = ["no header: columns taken in the order user, item, value, time"]
    missing = [role for role in ("user", "item") if roles.get(role, "none") == "none"]
    if missing:
        raise DataError(
            f"{source.name}: no column could be recognised as {' and '.join(missing)}; its columns "
            f"are {', '.join(names)}. Say which: columns={{'user': …, 'item': …}}, or on the "
            "command line --columns user=…,item=…"
            + ("; if the first line is a row, --no-header" if source.separator else "")
        )
    roles = {role: roles[role] for role in ROLES if roles.get(role, "none") != "none"}
    columns = ", ".join(f"{role}={column}" for role, column in roles.items())
    return roles, [f"columns: {columns}", *notes]


def _check_given(source: Source, names: list[str], given: Mapping[str, str]) -> None:
    """Refuse roles and columns that there are not, and a column that is given for two roles."""
    for role, column in given.items():
        if role not in ROLES:
            raise DataError(f"no such role {role!r}: columns have the roles {', '.join(ROLES)}")
        if column != "none" and column not in names:
            raise DataError(
                f"{source.name} has no column {column!r} (asked for as {role}); "
                f"its columns: {', '.join(names)}"
            )
    columns = [column for column in given.values() if column != "none"]
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        both = " and as ".join(role for role, column in given.items() if column == twice[0])
        raise DataError(f"{source.name}: column {twice[0]!r} is asked for as {both}; choose one")


def _guess_by_order(names: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """Take columns in the order of the roles, but for those that are given."""
    taken = set(given.values()) - {"none"}
    by_order = zip(ROLES, names, strict=False)
    return {role: column for role, column in by_order if column not in taken} | dict(given)


def _guess_by_name(names: list[str], given: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Give the roles that are not given to the columns with the most usual names."""
    roles, notes = dict(given), []
    for role in ROLES:
        if role in roles:
            continue
        taken = set(roles.values()) - {"none"}
        matches = usual_names(role, [name for name in names if name not in taken])
        if matches:
            roles[role] = matches[0]
        if len(matches) > 1:
            notes.append(f"{role} is {matches[0]!r}, not {', '.join(matches[1:])}")
    return roles, notes
