"""How a log was read, so that other logs for the same model are read alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shoal.data.columns import has_column, usual_names
from shoal.data.rows import Values
from shoal.data.sources import Source
from shoal.data.where import parse_where
from shoal.errors import DataError


@dataclass(frozen=True)
class Reading:
    """Options of `shoal.read` that say what a row means.

    Parameters
    ----------
    columns : mapping of role to column name
    min_value : float or None
    values : {"binary", "keep", "log1p"}
    where : str or None
    weights : mapping of event to weight, or None
    time_format : str or None
    """

    columns: Mapping[str, str]
    min_value: float | None = None
    values: Values = "binary"
    where: str | None = None
    weights: Mapping[str, float] | None = None
    time_format: str | None = None

    @property
    def preparation(self) -> dict[str, Any]:
        """The options as plain data, for a model to remember."""
        remembered: dict[str, Any] = {"min_value": self.min_value, "values": self.values}
        others = {
            "columns": dict(self.columns) or None,
            "where": self.where,
            "weights": None if self.weights is None else dict(self.weights),
            "time_format": self.time_format,
        }
        return remembered | {name: option for name, option in others.items() if option is not None}

    def like(self, model: Any, source: Source) -> Reading:
        """These options and, where they say nothing, those that a model's log was read with.

        A remembered option is left out if the log at hand lacks a column that it names: logs of
        the same people may be written by different programs.

        Parameters
        ----------
        model : Recommender or mapping
            A model, or its `preparation`.
        source : Source

        Raises
        ------
        DataError
            `model` is neither.
        """
        remembered = getattr(model, "preparation", model)
        if not isinstance(remembered, Mapping):
            raise DataError(f"like={model!r}: give a fitted model, or its `preparation`")

        names = source.frame.collect_schema().names()
        columns = {
            role: column
            for role, column in dict(remembered.get("columns") or {}).items()
            if role not in self.columns and (column == "none" or has_column(names, column))
        }
        where, weights = remembered.get("where"), remembered.get("weights")
        if where is not None and not all(
            has_column(names, c) for c in parse_where(where).columns()
        ):
            where = None
        if "value" in self.columns:
            weights = None
        columns = {role: c for role, c in columns.items() if c not in self.columns.values()}
        if weights is None and self.weights is None:
            columns.pop("event", None)
        named = (columns | dict(self.columns)).get("value")
        has_values = weights is not None or self.weights is not None
        has_values |= bool(usual_names("value", names)) if named is None else named != "none"
        min_value, values = self.min_value, self.values
        if has_values:  # otherwise each row of the log counts
            min_value = remembered.get("min_value") if min_value is None else min_value
            values = remembered.get("values", "binary") if values == "binary" else values
        return Reading(
            columns | dict(self.columns),
            min_value,
            values,
            where if self.where is None else self.where,
            weights if self.weights is None else self.weights,
            remembered.get("time_format") if self.time_format is None else self.time_format,
        )
