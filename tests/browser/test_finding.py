"""Finding items and people: while typing, by keys, and what is shown of one."""

from __future__ import annotations

import re

import pytest

from tests.browser import catalogue
from tests.browser.conftest import Open, tab_to
from tests.browser.driver import Page, expect

HARBOUR = [t for t in catalogue.item_table()["title"] if "harbour" in t.lower()]


def results(page: Page) -> list[str]:
    return page.locator("a.pick bdi").all_inner_texts()


def test_the_list_follows_the_letters_and_keeps_the_page(open_page: Open, full: str) -> None:
    page = open_page(full + "/item")
    page.evaluate("window.same = true")
    page.keyboard.press("/")
    search = page.locator("input[type=search]").first
    expect(search).to_be_focused()
    page.keyboard.type("harbour ho")
    expect(page.get_by_text("Nothing has these words")).to_be_visible()
    for _ in "ho":
        page.keyboard.press("Backspace")
    expect(page.locator("a.pick")).not_to_have_count(0)
    assert results(page)
    assert all("harbour" in title.lower() for title in results(page))
    assert page.evaluate("window.same")  # no reload
    expect(search).to_be_focused()
    expect(search).to_have_value("harbour ")
    assert re.search(r"search=harbour", page.url)
    found = results(page)
    page.reload()
    assert results(page) == found


def test_an_item_is_taken_from_the_list_by_keys(open_page: Open, full: str) -> None:
    page = open_page(full + "/item")
    page.keyboard.press("/")
    page.keyboard.type("Not a pic")
    expect(page.locator("a.pick")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.locator("a.pick")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator("input[type=search]").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(catalogue.HOSTILE["markup"])


@pytest.mark.parametrize("item", list(catalogue.HOSTILE))
def test_every_id_leads_to_its_item(open_page: Open, full: str, item: str) -> None:
    title = catalogue.HOSTILE[item]
    page = open_page(full + "/item", scripts=False)
    page.locator("input[type=search]").first.fill(item if len(item) > 3 else title)
    page.get_by_role("button", name="Find").click()
    page.locator("a.pick", has_text=title[:40]).first.click()
    expect(page.locator("h1")).to_have_text(title)
    page.get_by_role("link", name="Try with this item").click()
    expect(page.locator(".chips").get_by_text(title, exact=True)).to_be_attached()


def test_the_map_is_drawn_and_can_be_walked(open_page: Open, full: str) -> None:
    page = open_page(full + "/item/markup")
    canvas = page.locator("#map canvas")
    expect(canvas).to_be_visible()
    drawn = """(canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3]) colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
      }
      return colours.size;
    }"""
    page.wait_for_function(f"() => ({drawn})(document.querySelector('#map canvas')) > 5")
    tab_to(page, canvas)
    spoken = page.locator("#map .map-spoken")
    titles = set()
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        titles.add(spoken.inner_text())
    assert len(titles - {""}) >= 2
    before = canvas.evaluate("(canvas) => canvas.toDataURL()")
    page.keyboard.press("+")
    page.wait_for_function(
        "(before) => document.querySelector('#map canvas').toDataURL() !== before", arg=before
    )
    last = spoken.inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).not_to_have_text(catalogue.HOSTILE["markup"])
    assert last.startswith(page.locator("h1").inner_text()[:20])


def test_the_map_is_searched_and_coloured(open_page: Open, full: str) -> None:
    page = open_page(full + "/item/markup")
    page.get_by_label("Search the map").fill("harbour")
    told = page.locator("#map [role=status]").first
    expect(told).to_contain_text(str(len(HARBOUR)))
    picker = page.get_by_label("Colour by")
    legends = set()
    for value in picker.locator("option").all_inner_texts():
        picker.select_option(label=value)
        legends.add(page.get_by_role("group", name="Legend").inner_text())
    assert len(legends) >= 2


def test_a_person_is_looked_up(open_page: Open, full: str) -> None:
    page = open_page(full + "/person")
    page.get_by_label("Id of a person").fill(catalogue.STRANGE_PERSON)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(catalogue.STRANGE_PERSON)
    expect(page.locator("#events ~ .list > li")).to_have_count(1)
    expect(page.get_by_text(catalogue.HOSTILE["markup"]).first).to_be_visible()
    assert page.get_by_role("heading", name="What is recommended now").count() >= 1
    page.get_by_role("link", name="Try with this history").click()
    expect(page.locator(".chips").get_by_text(catalogue.HOSTILE["markup"])).to_be_attached()


def test_tab_goes_through_the_page_in_its_order(open_page: Open, full: str) -> None:
    page = open_page(full + "/item")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")
    page.keyboard.press("Tab")
    expect(page.locator("input[type=search]").first).to_be_focused()  # past the navigation
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Find")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
