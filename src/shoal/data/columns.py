"""Which column is the user, the item, the value, the time: given, or guessed from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.data.sources import Source
from shoal.errors import DataError

ROLES = ("user", "item", "value", "time")

# in order of preference; compared without case, spaces, dots, dashes and underscores
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
        *("unixreviewtime", "unixtime", "pos", "position", "order", "rank"),
    ),
}


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


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
        What the caller said; the rest is guessed. The column "none" leaves a role empty.

    Returns
    -------
    roles : dict role → column
    notes : list of str
        What was guessed, for the user to read.

    Raises
    ------
    DataError
        A given column is not there, or no column for user or item could be found.
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
    roles = dict(given)
    notes = []
    if not source.has_header and not given:
        roles = dict(zip(ROLES, names, strict=False))
        notes.append("no header: columns taken in the order user, item, value, time")
    else:
        taken = set(given.values())
        for role in ROLES:
            if role in roles:
                continue
            matches = sorted(
                (_NAMES[role].index(_folded(n)), n)
                for n in names
                if n not in taken and _folded(n) in _NAMES[role]
            )
            if matches:
                roles[role] = matches[0][1]
                taken.add(matches[0][1])
            if len(matches) > 1:
                others = ", ".join(n for _, n in matches[1:])
                notes.append(f"{role} is {matches[0][1]!r}, not {others}")
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
