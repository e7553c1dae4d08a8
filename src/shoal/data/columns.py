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
    return re.sub(r"[^a-z0-9]", "", name.lower())


def usual_names(role: str, names: list[str]) -> list[str]:
    """Those of `names` that are usual for a role, the most usual first."""
    known = _NAMES[role]
    found = sorted((known.index(_folded(n)), n) for n in names if _folded(n) in known)
    return [n for _, n in found]


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
        What the caller said; the rest is guessed from names or, in a file without a header of
        which neither user nor item is said, from places. The column "none" leaves a role empty.

    Returns
    -------
    roles : dict role → column
    notes : list of str
        What was guessed, for the user to read.

    Raises
    ------
    DataError
        A given column is not there or given twice, or none could be found for user or item.
    """
    given = dict(given or {})
    for role, column in given.items():
        if role not in ROLES:
            raise DataError(f"no such role {role!r}: columns have the roles {', '.join(ROLES)}")
        if column != "none" and column not in names:
            raise DataError(
                f"{source.name} has no column {column!r} (asked for as {role}); "
                f"its columns: {', '.join(names)}"
            )
    said = [column for column in given.values() if column != "none"]
    twice = [column for column in said if said.count(column) > 1]
    if twice:
        both = " and as ".join(r for r, column in given.items() if column == twice[0])
        raise DataError(f"{source.name}: column {twice[0]!r} is asked for as {both}; choose one")
    roles = dict(given)
    notes = []
    if not source.has_header and not {"user", "item"} & set(given):
        places = zip(ROLES, names, strict=False)
        roles = {role: column for role, column in places if column not in said} | given
        notes.append("no header: columns taken in the order user, item, value, time")
    else:
        taken = set(said)
        for role in ROLES:
            if role in roles:
                continue
            matches = usual_names(role, [n for n in names if n not in taken])
            if matches:
                roles[role] = matches[0]
                taken.add(matches[0])
            if len(matches) > 1:
                notes.append(f"{role} is {matches[0]!r}, not {', '.join(matches[1:])}")
    missing = [r for r in ("user", "item") if r not in roles or roles[r] == "none"]
    if missing:
        raise DataError(
            f"{source.name}: no column could be recognised as {' and '.join(missing)}; its columns "
            f"are {', '.join(names)}. Say which: columns={{'user': …, 'item': …}}, or on the "
            "command line --columns user=…,item=…"
        )
    roles = {r: roles[r] for r in ROLES if r in roles and roles[r] != "none"}
    notes.insert(0, "columns: " + ", ".join(f"{r}={c}" for r, c in roles.items()))
    return roles, notes
