"""Which column is the user, the item, the value, the time: given, or guessed from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.data.sources import Source
from shoal.errors import DataError

ROLES = ("user", "item", "value", "time")
_MOST_LISTED = 20  # names of columns in a message
EVENT = "event"  # a role that only weights by event give sense to

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
        *("bookisbn", "movietitle", "gametitle", "businessname", "recipe", "recipeid"),
        *("restaurant", "restaurantid", "venue", "venueid", "joke", "jokeid", "anime", "animeid"),
    ),
    "value": (
        *("value", "rating", "ratings", "score", "stars", "overall", "label", "weight"),
        *("count", "plays", "playcount", "quantity", "clicks", "views", "confidence"),
        *("bookrating", "movierating", "userrating", "itemrating", "productrating", "starrating"),
        *("reviewrating", "reviewscore", "reviewoverall", "ratingvalue", "ratingscore"),
        *("userscore", "star", "preference", "qty", "listencount", "playscount", "numplays"),
        *("click", "clicked", "isclick", "isclicked", "like", "liked", "islike", "isliked"),
        *("bought", "purchased", "ordered", "watched", "played", "listened", "viewed", "visited"),
        *("ispurchased", "isbought", "frequency", "relevance", "implicitfeedback"),
    ),
    "time": (
        *("time", "timestamp", "ts", "datetime", "date", "createdat", "eventtime", "eventts"),
        *("unixreviewtime", "unixtime", "reviewtime", "reviewdate", "timestampms", "eventdate"),
        *("clickedat", "clicktime", "purchasedate", "orderdate", "visittime", "ratedat"),
        *("eventtimestamp", "updatedat", "dateadded", *_RANKS),
    ),
    EVENT: (
        *("event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviortype"),
        *("behaviour", "behaviourtype", "interactiontype", "interaction", "type"),
    ),
}


def folded(name: str) -> str:
    """A column name in lower case, with letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def usual_names(role: str, names: list[str]) -> list[str]:
    """Those of `names` that are usual for a role, the most usual first."""
    known = _NAMES[role]
    ranked = sorted((known.index(folded(n)), n) for n in names if folded(n) in known)
    return [name for _, name in ranked]


def is_known(name: str) -> bool:
    """Whether a column's name is usual for some role."""
    return any(folded(name) in names for names in _NAMES.values())


def is_rank(column: str) -> bool:
    """Whether a time column, by its name, only orders the interactions of one user."""
    return folded(column) in _RANKS


def find_roles(
    source: Source,
    names: list[str],
    given: Mapping[str, str] | None,
    *,
    events: bool = False,
    option: str = "--columns",
) -> tuple[dict[str, str], list[str]]:
    """Assign columns to roles.

    Parameters
    ----------
    source : Source
    names : list of str
        Its columns.
    given : mapping role → column, or None
        The columns that the caller named; outer spaces of names do not count. The others are
        guessed from their names or, in a file without a header for which neither user nor item is
        given, from their order. The column name "none" leaves a role empty.
    events : bool
        Whether rows are weighted by their event, so that a column of events is needed and no
        column of values.
    option : str
        The option of the command line that names columns, for messages.

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
    given = given or {}
    _check_roles(given)
    given = as_written(source, names, given)
    _refuse_twice(source, given)
    _check_event(source, given, events=events)
    if events:
        given["value"] = "none"
    if source.has_header or {"user", "item"} & set(given):
        roles, notes = _guess_by_name(names, given, (*ROLES, EVENT) if events else ROLES)
    else:
        roles = _guess_by_order(names, given)
        notes = ["no header: columns taken in the order user, item, value, time"]
    missing = [role for role in ("user", "item") if roles.get(role, "none") == "none"]
    if missing:
        raise DataError(
            f"{source.name}: no column could be recognised as {' and '.join(missing)}; its columns "
            f"are {listed(names)}. Say which: columns={{'user': …, 'item': …}}, or on the "
            f"command line {option} user=…,item=…"
            + ("; if the first line is a row, --no-header" if source.separator else "")
        )
    if events and roles.get(EVENT, "none") == "none":
        raise DataError(
            f"{source.name}: weights by event need a column of events, and none could be "
            f"recognised; its columns are {listed(names)}. Say which: --columns event=…"
        )
    roles = {role: roles[role] for role in (*ROLES, EVENT) if roles.get(role, "none") != "none"}
    columns = ", ".join(f"{role}={quoted(column)}" for role, column in roles.items())
    return roles, [f"columns: {columns}", *notes]


def quoted(column: str) -> str:
    """A column's name as it is written among others: with quotes if it holds a comma."""
    return f'"{column}"' if "," in column else column


def listed(names: list[str]) -> str:
    """The names of columns for a message; of very many, the first and how many more there are."""
    if len(names) <= _MOST_LISTED:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_LISTED])}, … ({len(names):,} columns)"


def has_column(names: list[str], column: str) -> bool:
    """Whether a log has a column of that name, outer spaces aside."""
    return _as_in(names, column) in names


def as_written(source: Source, names: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """The columns that were asked for, as the log writes their names.

    Raises
    ------
    DataError
        A column is not there.
    """
    found = {role: _as_in(names, column) for role, column in given.items()}
    for role, column in found.items():
        if column != "none" and column not in names:
            raise DataError(
                f"{source.name} has no column {column!r} (asked for as {role}); its columns: "
                f"{listed(names)}"
            )
    return found


def _as_in(names: list[str], column: str) -> str:
    """The column as the log writes its name; outer spaces do not count."""
    same = [name for name in names if name.strip() == column.strip()]
    return same[0] if column not in names and len(same) == 1 else column


def _check_event(source: Source, given: Mapping[str, str], *, events: bool) -> None:
    """Refuse an event column without weights, and weights beside a value column."""
    if not events and given.get(EVENT, "none") != "none":
        raise DataError(
            f"{source.name}: a column of events goes with weights: --weights "
            "view=1,purchase=5 (weights={'view': 1, …}), or choose rows by --where"
        )
    if events and given.get("value", "none") != "none":
        raise DataError(
            f"{source.name}: values come either from a column (value=…) or from weights by event; "
            "leave one out"
        )


def _check_roles(given: Mapping[str, str]) -> None:
    """Refuse roles that there are not."""
    for role in given:
        if role not in (*ROLES, EVENT):
            raise DataError(f"no such role {role!r}: columns have the roles {', '.join(ROLES)}")


def _refuse_twice(source: Source, given: Mapping[str, str]) -> None:
    """Refuse a column that is given for two roles."""
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


def _guess_by_name(
    names: list[str], given: Mapping[str, str], wanted: tuple[str, ...]
) -> tuple[dict[str, str], list[str]]:
    """Give the roles that are wanted and not given to the columns with the most usual names."""
    roles, notes = dict(given), []
    for role in wanted:
        if role in roles:
            continue
        taken = set(roles.values()) - {"none"}
        matches = usual_names(role, [name for name in names if name not in taken])
        if matches:
            roles[role] = matches[0]
        if len(matches) > 1:
            notes.append(f"{role} is {matches[0]!r}, not {', '.join(matches[1:])}")
    return roles, notes
