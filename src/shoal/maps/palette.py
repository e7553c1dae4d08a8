"""The colours that groups get, the same in pictures and pages."""

from __future__ import annotations

from shoal.maps.colouring import MISSING, Colouring

# Tableau's ten colours without their grey, which would look like "other"
COLOURS = (
    "#4e79a7", "#f28e2b", "#e15759", "#59a14f", "#b07aa1",
    "#edc948", "#76b7b2", "#ff9da7", "#9c755f",
)  # fmt: skip
GREYS = ("#b5b5b5", "#d9d9d9")  # colours of the groups ``other`` and ``no value``


def hexes(colouring: Colouring) -> list[str]:
    """The colour of each group, in hexadecimal."""
    grey = [GREYS[g == MISSING] for g in colouring.groups[colouring.named :]]
    return [*COLOURS[: colouring.named], *grey]
