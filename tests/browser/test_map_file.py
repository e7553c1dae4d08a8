"""The HTML file of `shoal map` in a browser: drawn from the file alone, and used by keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shoal.maps.colouring import by_attribute
from shoal.maps.item_map import ItemMap, Panel
from shoal.maps.write import write_map
from tests.browser import catalogue
from tests.browser.conftest import Open
from tests.browser.driver import expect

N = 25


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A map of items on a grid of 5 × 5, so that a person knows what lies where; two panels."""
    xy = np.array([(place % 5, -(place // 5)) for place in range(N)], np.float64)
    titles = [*catalogue.HOSTILE.values(), *(f"Film {place}" for place in range(N))][:N]
    table = pl.DataFrame({"item": range(N), "kind": ["odd" if n % 2 else "even" for n in range(N)]})
    panels = (Panel("first", xy, 0.5, 1.0), Panel("second", xy[::-1].copy(), 0.5, 1.0))
    users = tuple(range(N, 0, -1))
    drawn = ItemMap(
        list(range(N)), titles, panels, by_attribute(table, "kind"), N, 5.0, ("a note",), users
    )
    return write_map(drawn, tmp_path / "map.html").as_uri()


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_a_map_is_walked_by_keys(open_page: Open, file: str, width: int, dark: bool) -> None:
    page = open_page(file, width=width, dark=dark)
    canvases = page.locator("canvas")
    expect(canvases).to_have_count(2)
    spoken = page.locator(".map-spoken")
    page.locator("canvas").first.focus()
    page.keyboard.press("ArrowRight")  # from the middle of the grid, item 12, to item 13
    expect(spoken).to_have_text("Film 1, 13 · kind: odd · 12 users")
    page.keyboard.press("ArrowDown")
    expect(spoken).to_contain_text("Film 6, 18")
    page.keyboard.press("ArrowLeft")
    expect(spoken).to_contain_text("Film 5, 17")
    page.keyboard.press("Enter")
    near = page.locator(".map-near li")
    expect(near).to_have_count(10)
    # the four neighbours in the grid come first
    first = {near.nth(place).inner_text() for place in range(4)}
    assert first == {f"Film {place - 12}" for place in (12, 16, 18, 22)}
    near.nth(0).locator("button").click()
    expect(page.locator(".map-near h3")).not_to_contain_text("Film 5")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_groups_are_hidden_and_items_found(open_page: Open, file: str) -> None:
    page = open_page(file)
    page.get_by_label("Search the map").fill("harbour")
    expect(page.locator(".map-tools [role=status]")).to_have_text("5 items")
    group = page.get_by_role("button", name="odd (12)")
    group.click()
    expect(group).to_have_attribute("aria-pressed", "false")
    page.locator("canvas").first.focus()
    # of what was found, items 8 and 10 are still shown, and 8 lies to the right of the middle
    page.keyboard.press("ArrowRight")
    expect(page.locator(".map-spoken")).to_contain_text("Harbour, Comma, 8 · kind: even")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".map-spoken")).to_contain_text("Harbour, Comma")
    page.keyboard.press("Escape")
    expect(page.locator(".map-spoken")).to_have_text("")
