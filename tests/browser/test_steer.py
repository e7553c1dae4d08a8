"""Steer: a knob is turned by mouse or keys, the list follows, and the cost is shown."""

from __future__ import annotations

import re

from tests.browser.conftest import Open, tab_to
from tests.browser.driver import Page, expect


def steered(page: Page) -> list[str]:
    return page.locator("#lists .list").last.locator("bdi").all_inner_texts()


def start(open_page: Open, full: str, *, scripts: bool = True) -> Page:
    """The page of a person, once the knobs are there."""
    page = open_page(full + "/steer?user=u000&model=sparse", scripts=scripts)
    while page.locator("#preparing").count():  # it looks again by itself
        page.goto(full + "/steer?user=u000&model=sparse")
    return page


def test_a_slider_is_turned_by_keys(open_page: Open, full: str) -> None:
    page = start(open_page, full)
    page.evaluate("window.same = true")
    before = steered(page)
    assert len(before) == 10
    knob = page.locator("input[type=range]").first
    tab_to(page, knob)
    page.keyboard.press("End")
    expect(page.locator("output").first).to_have_text("+1")
    page.wait_for_url(re.compile("="))
    expect(page.locator("#outcome")).to_contain_text("as good to the model")
    after = steered(page)
    assert after != before
    page.keyboard.press("Home")
    expect(page.locator("output").first).to_have_text("−1")
    expect(knob).to_be_focused()
    page.wait_for_url(re.compile("=-1"))
    expect(page.locator("#lists .badge.accent, #lists .badge.warn").first).to_be_visible()
    assert page.evaluate("window.same")
    names = steered(page)
    assert names != after
    again = open_page(page.url, scripts=False)
    assert steered(again) == names
    page.get_by_role("link", name="Reset all").click()
    expect(page.locator("#outcome")).to_contain_text("No knob turned")
    assert steered(page) == before


def test_without_scripts_a_button_turns_the_list(open_page: Open, full: str) -> None:
    page = start(open_page, full)
    expect(page.get_by_role("button", name="Turn the list")).to_be_hidden()
    page = start(open_page, full, scripts=False)
    before = steered(page)
    page.locator("input[type=range]").first.fill("1")
    page.get_by_role("button", name="Turn the list").click()
    expect(page.locator("#outcome")).to_contain_text("as good to the model")
    assert steered(page) != before


def test_the_cost_is_measured_on_stored_people(open_page: Open, full: str) -> None:
    page = start(open_page, full)
    page.locator("input[type=range]").first.fill("1")
    rows = page.locator("#cost tbody tr")
    expect(rows).not_to_have_count(0)  # measured beside, and shown when it is ready
    expect(rows).to_have_count(2)  # NDCG and recall
    assert re.search(r"\d\.\d+", page.locator("#cost tbody").inner_text())
