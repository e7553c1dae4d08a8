"""Maps as files: pictures, pages, tables; titles are users' data and never markup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from shoal.errors import ArtifactError
from shoal.maps.colouring import Colouring, by_attribute
from shoal.maps.item_map import ItemMap, Panel
from shoal.maps.write import check_map, figure, write_map

EVIL = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "@@DATA@@ &amp; $x_1^{2$",
    "七人の侍",
    "tab\t, bell\x07 and \u2028 \"quotes' \\",
]
N = 30


def titles() -> list[str]:
    return [EVIL[i] if i < len(EVIL) else f"Film {i}" for i in range(N)]


def table() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": range(N),
            "group": [EVIL[i % 5] if i % 4 else None for i in range(N)],
            "year": [None if i == 7 else 1950 + i for i in range(N)],
        }
    )


def made(colour: str = "group", panels: int = 1) -> ItemMap:
    rng = np.random.default_rng(0)
    drawn = tuple(
        Panel(f"model <{i}> $", rng.standard_normal((N, 2)), 0.5, 1.0) for i in range(panels)
    )
    notes = ("a <b>note</b>",)
    return ItemMap(list(range(N)), titles(), drawn, by_attribute(table(), colour), 99, 5.0, notes)


def data_of(text: str) -> dict[str, object]:
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert inside is not None
    found: dict[str, object] = json.loads(inside[1])
    return found


def test_a_page_escapes_everything_that_users_wrote(tmp_path: Path) -> None:
    text = write_map(made(), tmp_path / "m.html").read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2  # the data and the program
    assert "<img" not in text
    assert "<b>" not in text
    assert "a &lt;b&gt;note&lt;/b&gt;" in text
    assert "<title>model &lt;0&gt; $" in text
    assert "\u2028" not in text
    assert data_of(text)["titles"] == titles()
    for way_to_make_markup in ("innerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way_to_make_markup not in text


def test_a_page_needs_no_network(tmp_path: Path) -> None:
    plain = replace(made("year"), titles=[f"Film {i}" for i in range(N)])
    text = write_map(plain, tmp_path / "m.html").read_text()
    assert not re.search(r"https?:|\bsrc=|\bhref=|@import|url\(|fetch\(", text)
    assert "default-src 'none'" in text


def test_a_page_holds_all_panels_in_one_order(tmp_path: Path) -> None:
    found = made("year", panels=3)
    data = data_of(write_map(found, tmp_path / "m.html").read_text())
    panels, colour = data["panels"], data["colours"][0]
    assert isinstance(panels, list)
    assert isinstance(colour, dict)
    assert len(panels) == 3
    for panel, drawn in zip(found.panels, panels, strict=True):
        xy = np.array(drawn["xy"]).reshape(N, 2)
        assert np.abs(xy).max() == 1
        assert np.argmax(xy[:, 0]) == np.argmax(panel.xy[:, 0])
        assert np.argmin(xy[:, 1]) == np.argmax(panel.xy[:, 1])  # y goes down on a screen
    assert colour["values"][7] is None
    assert (colour["low"], colour["high"]) == (1950, 1979)


def test_the_program_of_a_page_is_well_formed(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here to read the script")
    text = write_map(made(), tmp_path / "m.html").read_text()
    (tmp_path / "m.js").write_text(re.findall(r"<script>(.*?)</script>", text, re.S)[0])
    done = subprocess.run([node, "--check", tmp_path / "m.js"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("colour", ["group", "year"])
@pytest.mark.parametrize("panels", [1, 3])
def test_pictures(tmp_path: Path, colour: str, panels: int) -> None:
    found = made(colour, panels)
    png = write_map(found, tmp_path / "m.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert (width > 2 * height) == (panels == 3)
    svg = write_map(found, tmp_path / "m.svg")
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    first = svg.read_bytes()
    assert write_map(found, tmp_path / "m.svg").read_bytes() == first


def test_a_picture_has_a_panel_for_each_model_and_one_legend() -> None:
    fig = figure(made(panels=3))
    assert [ax.get_title("left") for ax in fig.axes] == [f"model <{i}> $" for i in range(3)]
    (legend,) = fig.legends
    assert legend.get_title().get_text() == "group"
    texts = [t.get_text() for t in legend.get_texts()]
    assert texts[-1] == "no value  (8)"
    assert len(figure(made("year", 3)).axes) == 4  # three panels and the colour bar
    assert not figure(made("year")).legends


def test_no_legend_leaves_its_picture() -> None:
    """Nine clusters with the widest names still stand within the figure."""
    names = tuple(f"{i}: {'WM' * 40}" for i in range(9))
    codes = np.arange(N) % 9
    wide = Colouring("cluster", tuple(names[c] for c in codes), names, codes)
    for panels in (1, 3):
        fig = figure(replace(made(panels=panels), colouring=wide))
        fig.draw_without_rendering()
        box = fig.legends[0].get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= fig.bbox.width
        assert box.y0 >= 0
        assert box.y1 <= min(ax.get_window_extent().y0 for ax in fig.axes)


def test_tables(tmp_path: Path) -> None:
    found = made(panels=2)
    assert pl.read_parquet(write_map(found, tmp_path / "m.parquet")).equals(found.table())
    back = pl.read_csv(write_map(found, tmp_path / "m.csv"))
    assert back.columns == ["item", "title", "colour", "x", "y", "x_2", "y_2"]
    assert back["title"].to_list() == titles()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"ends in \.png, \.svg, \.html, \.parquet or \.csv"):
        write_map(made(), tmp_path / "m.jpg")
    with pytest.raises(ArtifactError, match="there is no folder"):
        check_map(tmp_path / "nowhere" / "m.png")
    (tmp_path / "d.html").mkdir()
    with pytest.raises(ArtifactError, match="is a folder"):
        check_map(tmp_path / "d.html")
    assert not list(tmp_path.glob(".*"))
