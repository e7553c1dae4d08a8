"""What the script of a map draws, as members of a JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shoal.kernels.arrays import Double
from shoal.maps.colouring import Colouring
from shoal.maps.item_map import ItemMap
from shoal.maps.palette import GREYS, hexes
from shoal.web import shortened

# five points of matplotlib's viridis; the script draws straight lines between them
_SCALE = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def drawing(
    item_map: ItemMap, colourings: Sequence[Colouring] = (), longest: int | None = None
) -> dict[str, Any]:
    """The items of a map with their places, and the colours that a person can choose from.

    Parameters
    ----------
    item_map : ItemMap
    colourings : sequence of Colouring
        More colourings than the map's own.
    longest : int, optional
        Letters to which titles and values are cut.
    """
    return {
        "ids": [str(i) for i in item_map.items],
        "titles": [_cut(title, longest) for title in item_map.titles],
        "users": list(item_map.users) or None,
        "colours": [_colours(c, longest) for c in (item_map.colouring, *colourings)],
        "panels": [{"name": p.name, "xy": _unit(p.xy).ravel().tolist()} for p in item_map.panels],
    }


def _colours(colouring: Colouring, longest: int | None) -> dict[str, Any]:
    """One colouring: groups with their colours, or a scale; no texts where they are the groups'."""
    named = [colouring.groups[code] if code >= 0 else "" for code in colouring.codes.tolist()]
    members: dict[str, Any] = {"name": colouring.name}
    if named != list(colouring.texts):
        members["texts"] = [_cut(text, longest) for text in colouring.texts]
    values = colouring.values
    if values is None:
        return members | {
            "groups": [_cut(group, longest) for group in colouring.groups],
            "counts": list(colouring.counts.values()),
            "colours": hexes(colouring),
            "named": colouring.named,
            "codes": colouring.codes.tolist(),
        }
    return members | {
        "scale": list(_SCALE),
        "low": float(np.nanmin(values)),
        "high": float(np.nanmax(values)),
        "missing": GREYS[1],
        "values": [None if np.isnan(v) else v for v in values.tolist()],
    }


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None else shortened(text, longest)


def _unit(xy: Double) -> Double:
    """Coordinates within the square from −1 to 1, to five digits; y downwards, as on a screen."""
    middle = (xy.max(axis=0) + xy.min(axis=0)) / 2
    reach = np.abs(xy - middle).max() or 1.0
    return np.round((xy - middle) / reach * (1, -1), 5)
