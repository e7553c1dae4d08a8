"""A map as one HTML file that needs no network.

Titles are users' data. What stands in the markup is escaped; everything else is JSON without ``<``
or ``&``, which the script shows as text only.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from shoal.kernels.arrays import Double
from shoal.maps.item_map import ItemMap
from shoal.maps.palette import GREYS, hexes

_TEMPLATE = Path(__file__).with_name("map_page.html")
# five points of matplotlib's viridis; the page draws straight lines between them
_SCALE = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def page(item_map: ItemMap) -> str:
    """The HTML page of a map, as text."""
    name = item_map.panels[0].name
    kept = ", ".join(f"{p.name} {p.kept:.0%}" for p in item_map.panels)
    fill = {
        "TITLE": html.escape(f"{name}: a map of {len(item_map):,} items"),
        "SUMMARY": html.escape(
            f"{len(item_map):,} of {item_map.n_catalogue:,} items. Near items get like answers "
            f"from the model when each is a history alone; axes and distances between far groups "
            f"mean nothing. Of each item's ten nearest by answer, so many are among its ten "
            f"nearest here: {kept}."
        ),
        "NOTES": "".join(f"<p>{html.escape(note)}</p>" for note in item_map.notes),
        "DATA": _json(_data(item_map)),
    }
    # one pass, so that a title that looks like a placeholder stays a title
    return re.sub(r"@@(\w+)@@", lambda m: fill[m[1]], _TEMPLATE.read_text(encoding="utf-8"))


def _data(item_map: ItemMap) -> dict[str, Any]:
    """What the script of the page draws."""
    colouring, values = item_map.colouring, item_map.colouring.values
    colour: dict[str, Any] = {"name": colouring.name, "texts": list(colouring.texts)}
    if values is None:
        colour |= {
            "groups": list(colouring.groups),
            "counts": list(colouring.counts.values()),
            "colours": hexes(colouring),
            "named": colouring.named,
            "codes": colouring.codes.tolist(),
        }
    else:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        colour |= {
            "scale": list(_SCALE),
            "low": low,
            "high": high,
            "missing": GREYS[1],
            "values": [None if np.isnan(v) else v for v in values.tolist()],
        }
    return {
        "ids": [str(i) for i in item_map.items],
        "titles": item_map.titles,
        "colour": colour,
        "panels": [{"name": p.name, "xy": _unit(p.xy).ravel().tolist()} for p in item_map.panels],
    }


def _unit(xy: Double) -> Double:
    """Coordinates within the square from −1 to 1, to five digits; y downwards, as on a screen."""
    middle = (xy.max(axis=0) + xy.min(axis=0)) / 2
    reach = np.abs(xy - middle).max() or 1.0
    return np.round((xy - middle) / reach * (1, -1), 5)


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # no letter that could end the script element or begin another one
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
