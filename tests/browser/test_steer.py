"""Steer in a browser: sliders by keyboard and without scripts, the lists, and the cost."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from tests.browser.catalogue import LOVER
from tests.browser.conftest import Open, get
from tests.browser.driver import expect

ADDRESS = f"/steer?user={LOVER}"


def prepared(service: str) -> None:
    """Have the knobs made, so that the page need not wait for them."""
    for _ in range(50):
        if get(f"{service}/v1/knobs").status_code == 200:
            return
    raise AssertionError("the knobs are not made")


def test_a_slider_turns_the_list_while_it_keeps_the_focus(full: str, open_page: Open) -> None:
    prepared(full)
    page = open_page(full + ADDRESS)
    slider = page.locator("input[type=range]").first
    expect(page.locator("#outcome")).to_contain_text("Nothing is turned")
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#level-0")).to_have_text("+2")
    expect(page.locator("#outcome")).to_contain_text("of the margin kept")
    assert page.evaluate("document.activeElement.type") == "range"
    query = parse_qs(urlsplit(page.url).query)
    assert query.pop("user") == [LOVER]
    ((name, level),) = query.items()
    assert name.startswith("knob.")
    assert level == ["2"]
    expect(page.locator("#cost table")).to_be_visible()
    page.reload()
    expect(page.locator("#level-0")).to_have_text("+2")
    page.get_by_role("link", name="Reset all").click()
    expect(page.locator("#level-0")).to_have_text("0")
    assert parse_qs(urlsplit(page.url).query) == {"user": [LOVER]}


def test_what_moved_is_said_beside_both_lists(full: str, open_page: Open) -> None:
    prepared(full)
    page = open_page(full + ADDRESS)
    slider = page.locator("input[type=range]").nth(1)
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#outcome")).to_contain_text("new")
    outcome = page.locator("#outcome strong")
    number = int(re.findall(r"\d+", outcome.inner_text())[0])
    expect(page.locator(".moves .badge", has_text="new")).to_have_count(number)
    expect(page.locator(".moves .badge", has_text="gone")).to_have_count(number)
    expect(page.locator("#announced")).to_contain_text(f"{number} of")


def test_without_scripts_a_button_turns_the_list(full: str, open_page: Open) -> None:
    prepared(full)
    page = open_page(full + ADDRESS, scripts=False)
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="Turn the list").click()
    expect(page.locator("#level-0")).to_have_text("−3")
    expect(page.locator("#outcome")).to_contain_text("of the margin kept")


def test_on_a_phone_the_outcome_stays_in_sight(full: str, open_page: Open) -> None:
    prepared(full)
    page = open_page(full + ADDRESS, width=390)
    page.locator("input[type=range]").first.scroll_into_view_if_needed()
    expect(page.locator("#outcome")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_items_without_titles_are_named_by_their_ids(bare: str, open_page: Open) -> None:
    prepared(bare)
    page = open_page(bare + "/steer")
    expect(page.locator("input[type=range]").first).to_be_visible()
    expect(page.locator(".moves .title").first).not_to_be_empty()
    expect(page.locator("#cost")).to_contain_text("Turn a knob")
