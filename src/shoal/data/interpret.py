"""What the columns of a log mean, from what was asked for and what is found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from shoal.data.columns import find_roles, is_rank, quoted
from shoal.data.conditions import column_name
from shoal.data.counted import Event, counting
from shoal.data.like import Reading
from shoal.data.prepare import Duplicates
from shoal.data.report import PreparationStep
from shoal.data.rows import Meaning, Missing, RowRules, Values
from shoal.data.sources import Source
from shoal.data.time_formats import TimeFormat, recognise_times
from shoal.data.unused import refuse_possible_values, unused_columns
from shoal.data.where import parse_where
from shoal.errors import DataError
from shoal.kernels.arrays import Float

_LARGEST_WEIGHT = 1e30
_HEAVY_TAIL = 50  # values are told to be counts if the largest is so many times the median


@dataclass(frozen=True)
class Interpretation:
    """What a log's columns mean, and what a person should know about how that was found out.

    Parameters
    ----------
    reading : Reading
        What was asked for, with what was remembered of another log.
    meaning : Meaning
    notes : tuple of str
    """

    reading: Reading
    meaning: Meaning
    notes: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of `Interactions` that do not depend on its rows."""
        return {
            "preparation": self.reading.preparation,
            "times_are_ranks": self._rank is not None,
            "times_are_dates": self.meaning.times.is_date,
        }

    @property
    def _rank(self) -> str | None:
        """The column of times, if it only orders each user's interactions."""
        column = self.meaning.roles.get("time")
        return column if column is not None and is_rank(column) else None

    @property
    def asks_for_extent(self) -> bool:
        """Whether `all_notes` says something about how large the values are."""
        return self.reading.values == "keep" and self.reading.weights is None

    def all_notes(
        self,
        notes_on_ids: Sequence[str],
        report: Sequence[PreparationStep],
        duplicates: Duplicates,
        extent: tuple[float, float] | None,
    ) -> tuple[str, ...]:
        """What a person should know about how the log was read, with all that its rows have shown.

        Parameters
        ----------
        notes_on_ids : sequence of str
            From `scan`.
        report : sequence of PreparationStep
        duplicates : {"last", "first", "sum"}
        extent : (largest, median) or None
            Of the values that are kept, if `asks_for_extent` and there are any.
        """
        notes = [*self.notes, *notes_on_ids]
        if self._rank is not None:
            notes.append(f"{self._rank!r} is taken as the order of each user's own interactions")
        several = any(step.name == "duplicates" for step in report)
        if self.reading.weights is not None and several and duplicates != "sum":
            notes.append(
                f"of several events of a user and an item the {duplicates} one counts; their "
                "weights add up with duplicates='sum' (--duplicates sum)"
            )
        largest, median = extent or (0.0, 0.0)
        if median > 0 and largest > _HEAVY_TAIL * median:
            notes.append(
                f"values run up to {largest:,.6g}, {largest / median:,.0f} times their median "
                f"({median:,.6g}): a few rows outweigh all others. Counts rank better as "
                "values='log1p' (--values log1p) or 'binary'"
            )
        return tuple(notes)


def extent_of(values: Float | None) -> tuple[float, float] | None:
    """The largest value and the median; None if there are no values."""
    if values is None or not len(values):
        return None
    return float(values.max()), float(np.median(values))


def check_choice(name: str, choice: str, known: tuple[str, ...]) -> None:
    """Refuse what is none of the known choices."""
    if choice not in known:
        raise DataError(f"{name}={choice!r}: give one of {', '.join(known)}")


def check_choices(reading: Reading, duplicates: Duplicates, missing: Missing) -> None:
    """Refuse options of `read` that are none, before a log is opened."""
    check_choice("values", reading.values, get_args(Values))
    least = reading.min_value
    if least is not None and not isinstance(least, int | float | np.number):
        raise DataError(f"min_value={least!r}: give a number")
    check_choice("duplicates", duplicates, get_args(Duplicates))
    check_choice("missing", missing, get_args(Missing))


def interpret(
    source: Source,
    reading: Reading,
    *,
    like: Any = None,
    events: Sequence[Event] = (),
    missing: Missing = "error",
    since: float | str | None = None,
    until: float | str | None = None,
    duplicates: Duplicates = "last",
) -> Interpretation:
    """Find out what the columns of a log mean; parameters as for `shoal.read`.

    Raises
    ------
    DataError
        Columns that are missing or ambiguous, weights that are none, a condition that does not suit
        the columns, or dates whose day and month cannot be told apart.
    """
    if like is not None:
        reading = reading.like(like, source)
    if events:
        reading = counting(reading, events, source)
    reading = _with_weights(reading)
    roles, notes = _roles(source, reading, needs_value=duplicates == "sum")
    if like is not None and reading.min_value is None and "value" not in roles:
        notes.append("the log has no values: each of its rows counts")
    times = TimeFormat()
    if "time" in roles and not is_rank(roles["time"]):
        times = recognise_times(source, roles["time"], reading.time_format)
    rules = RowRules(
        reading.min_value,
        reading.values,
        missing,
        since,
        until,
        reading.where,
        reading.weights,
    )
    return Interpretation(reading, Meaning(roles, rules, times), (*notes, *times.notes))


def _with_weights(reading: Reading) -> Reading:
    """The same options; where rows are weighted by event, their values are kept."""
    weights = reading.weights
    if weights is None:
        return reading
    for event, weight in weights.items():
        if not 0 < weight <= _LARGEST_WEIGHT:  # also refuses NaN
            raise DataError(
                f"weight {weight} of event {event!r}: give a number above 0, and leave out events "
                "that do not count"
            )
    if not weights:
        raise DataError("weights: name at least one event, such as --weights view=1,purchase=5")
    kept: Values = "keep" if reading.values == "binary" else reading.values
    return replace(reading, values=kept)


def _roles(
    source: Source, reading: Reading, *, needs_value: bool
) -> tuple[dict[str, str], list[str]]:
    """The columns by role, and notes: the guesses, and which columns are not used."""
    names = source.frame.collect_schema().names()
    weighted = reading.weights is not None
    roles, notes = find_roles(source, names, reading.columns, events=weighted)
    needs_value |= reading.min_value is not None or reading.values != "binary"
    if needs_value and "value" not in roles and not weighted:
        raise DataError(
            f"{source.name} has no value column, which min_value, values={reading.values!r} and "
            f"duplicates='sum' need; its columns: {', '.join(names)}. "
            "Say which: --columns value=…"
        )
    unused = unused_columns(names, roles, _columns_of_condition(source, reading.where))
    if "value" not in roles and not weighted and reading.columns.get("value") != "none":
        refuse_possible_values(source, unused)
    if unused:
        notes.append(f"not used: {', '.join(map(quoted, unused))}")
    return roles, notes


def _columns_of_condition(source: Source, where: str | None) -> set[str]:
    """The columns that a condition reads, if the log has them and they can be compared so."""
    if where is None:
        return set()
    schema = source.frame.collect_schema()
    condition = parse_where(where)
    try:
        condition.expression(schema)
        return {column_name(column, schema) for column in condition.columns()}
    except DataError as error:
        raise DataError(f"{source.name}, where {where[:100]!r}: {error}") from None
