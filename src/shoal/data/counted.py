"""Which events of a log count, where a policy names them: a condition on one of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shoal.data.columns import EVENT, usual_names
from shoal.data.like import Reading
from shoal.data.sources import Source
from shoal.errors import DataError

Event = str | int | float


def counting(reading: Reading, events: Sequence[Event], source: Source) -> Reading:
    """The same options for a log, of which only the rows of some events count.

    Where rows have weights by event, the others lose theirs. Elsewhere the events become a
    condition on the column of events or, in a log that has none, of values.

    Parameters
    ----------
    reading : Reading
    events : sequence of str and numbers
        At least one.
    source : Source

    Raises
    ------
    DataError
        An event has no weight, or the log has neither events nor values.
    """
    if reading.weights is not None:
        without = [str(event) for event in events if str(event) not in reading.weights]
        if without:
            raise DataError(
                f"{source.name}: the event {without[0]!r} counts, and has no weight: give it one "
                "(--weights), or leave it out of event_values"
            )
        weights = {str(event): reading.weights[str(event)] for event in events}
        return replace(reading, weights=weights)
    column = _column(reading, events, source)
    marks = [str(e) if not isinstance(e, str) else "'" + e.replace("'", "''") + "'" for e in events]
    where = f"`{column}` in ({', '.join(marks)})"
    if reading.where is not None:
        where = f"({reading.where}) and {where}"
    columns = {role: name for role, name in reading.columns.items() if role != EVENT}
    return replace(reading, columns=columns, where=where)


def _column(reading: Reading, events: Sequence[Event], source: Source) -> str:
    """The column that says what a row is."""
    names = source.frame.collect_schema().names()
    taken = set(reading.columns.values())
    for role in (EVENT, "value"):
        given = reading.columns.get(role)
        if given == "none":
            continue
        usual = usual_names(role, [name for name in names if name not in taken])
        if given is not None or usual:
            return given or usual[0]
    listed = ", ".join(map(str, events))
    raise DataError(
        f"{source.name}: only the events {listed} count, and no column of events or values could "
        f"be recognised; its columns are {', '.join(names)}. Say which: --columns event=…, or "
        "leave out event_values"
    )
