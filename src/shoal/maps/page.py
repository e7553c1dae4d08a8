"""A map as one HTML file that needs no network.

Titles are users' data. What stands in the markup is escaped; everything else is JSON without ``<``
or ``&``, which the script shows as text only. The script and the styles of the map itself are those
that `shoal serve` gives to browsers, too.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from shoal.maps.drawing import drawing
from shoal.maps.item_map import ItemMap
from shoal.web import script_json

FOLDER = Path(__file__).parent
SCRIPT, STYLES = "item_map.js", "item_map.css"  # beside this file


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
        "STYLES": _own(STYLES),
        "SCRIPT": _own(SCRIPT),
        "DATA": script_json(drawing(item_map)),
    }
    # one pass, so that a title that looks like a placeholder stays a title
    return re.sub(r"@@(\w+)@@", lambda m: fill[m[1]], _own("map_page.html"))


def _own(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
