"""Options for reading text files whose form is not recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.parse import one_of

if TYPE_CHECKING:
    from shoal.data.dialect import Format, Quotes

FORMATS: tuple[Format, ...] = ("auto", "rows", "basket")
QUOTES: tuple[Quotes, ...] = ("auto", "csv", "none")

TEXT = "Reading text files"


@dataclass
class TextOptions:
    """How a text file is written, where the guess is wrong."""

    format: Annotated[
        str,
        typer.Option(
            help="What a line of a text file is: an interaction (rows), or a user and all items "
            "of the user (basket).",
            metavar="auto|rows|basket",
            rich_help_panel=TEXT,
        ),
    ] = "auto"
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first line names the columns, where the guess is wrong.",
            show_default=False,
            rich_help_panel=TEXT,
        ),
    ] = None
    quotes: Annotated[
        str,
        typer.Option(
            help="csv: quotes enclose values, also over several lines; none: they are letters.",
            metavar="auto|csv|none",
            rich_help_panel=TEXT,
        ),
    ] = "auto"
    separator: Annotated[
        str | None,
        typer.Option(
            help="What separates values, where the guess is wrong: ',', ';', tab, blank, …",
            rich_help_panel=TEXT,
        ),
    ] = None

    def text_rules(self) -> dict[str, Any]:
        """These options as keywords of `read`."""
        return {
            "format": one_of(self.format, FORMATS, "--format"),
            "header": self.header,
            "quotes": one_of(self.quotes, QUOTES, "--quotes"),
            "separator": self.separator,
        }
