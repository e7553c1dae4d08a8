"""Options that say which items come into a list by their attributes, and how they are favoured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from shoal.errors import HistoryError

_PANEL = "Items by their attributes"


@dataclass
class ItemRules:
    """Which items come into a list, and how much each is favoured."""

    filter: Annotated[
        str | None,
        typer.Option(
            help="Only items that fulfil a condition: \"year >= 1990 and 'Comedy' in genres\".",
            rich_help_panel=_PANEL,
        ),
    ] = None
    boost: Annotated[
        str | None,
        typer.Option(
            help='Factors of scores: "1 + 0.5 * (year >= 2000)", or as JSON {"in_stock": 1.2}.',
            rich_help_panel=_PANEL,
        ),
    ] = None
    diversity: Annotated[
        float,
        typer.Option(
            help="From 0, the best items, to 1, items as unlike each other as possible.",
            rich_help_panel=_PANEL,
        ),
    ] = 0.0

    def keywords(self) -> dict[str, Any]:
        """The rules as keywords of `shoal.recommend`."""
        return {
            "filter": self.filter,
            "boost": _boost(self.boost),
            "diversity": self.diversity,
        }

    def refuse_any(self, why: str) -> None:
        """Refuse all of these options.

        Raises
        ------
        HistoryError
            One of them is given.
        """
        given = [name for name in ("filter", "boost", "diversity") if getattr(self, name)]
        if given:
            raise HistoryError(f"--{given[0]} {why}")


def _boost(text: str | None) -> Any:
    """An expression, or a mapping that is written as JSON."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HistoryError(
            f'--boost {text[:100]!r} is no JSON such as {{"in_stock": 1.2}}: {error}'
        ) from None
