"""Options that say what the columns of a log mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from shoal.cli.parse import pairs
from shoal.errors import DataError

PANEL = "Reading the log"


@dataclass
class ColumnOptions:
    """What the columns of a log mean, and which rows count."""

    columns: Annotated[
        str,
        typer.Option(
            help="Roles of columns where the guess is wrong: user=…,item=…,value=…,time=…,event=… "
            '(none leaves a role empty; a name with a comma stands in quotes: item="a, b").',
            rich_help_panel=PANEL,
        ),
    ] = ""
    where: Annotated[
        str | None,
        typer.Option(
            help="Keep rows that fulfil a condition on columns: \"event = 'purchase'\".",
            rich_help_panel=PANEL,
        ),
    ] = None
    weights: Annotated[
        str,
        typer.Option(
            help="Value of a row by its event: view=1,cart=2,purchase=5; others are left out.",
            rich_help_panel=PANEL,
        ),
    ] = ""
    time_format: Annotated[
        str | None,
        typer.Option(
            help="How times are written: a pattern such as %d/%m/%Y, or number.",
            rich_help_panel=PANEL,
        ),
    ] = None

    def _meaning_of_columns(self) -> dict[str, Any]:
        """These options as keywords of `read`."""
        return {
            "columns": pairs(self.columns, "--columns"),
            "where": self.where,
            "weights": self._weights(),
            "time_format": self.time_format,
        }

    def _weights(self) -> dict[str, float] | None:
        """The weights by event, if there are any."""
        if not self.weights.strip():
            return None
        weights = {}
        for event, weight in pairs(self.weights, "--weights").items():
            try:
                weights[event] = float(weight)
            except ValueError:
                raise DataError(
                    f"--weights {event}={weight}: write numbers, such as view=1,purchase=5"
                ) from None
        return weights
