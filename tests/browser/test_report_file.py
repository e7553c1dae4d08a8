"""The HTML file of a report in a browser: drawn from itself alone, on screens and on paper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoal.experiments.report.write import write_report
from tests.browser.conftest import Open, tab_to
from tests.browser.driver import Page, expect
from tests.browser.test_all_pages import scrolls_sideways, serious_faults, structure
from tests.experiments.report import invented


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A report on two data sets, one of them with as many models as the library has."""
    results = invented.results("one", "two")
    results["comparisons"][1] = invented.comparison("many", n_more=28)
    return write_report(results, tmp_path)[0].as_uri()


def drawn(page: Page) -> Page:
    """The page, once all charts that are in sight are drawn."""
    shown = page.locator("[data-chart]:visible")
    expect(shown.first.locator("svg")).to_be_visible()
    expect(page.locator("[data-chart]:visible:not(:has(svg path))")).to_have_count(0)
    return page


@pytest.mark.parametrize("dark", [False, True])
def test_a_report_is_sound_on_every_screen(open_page: Open, file: str, dark: bool) -> None:
    page = drawn(open_page(file, dark=dark))
    sound = structure(page)
    assert (sound["h1"], sound["main"], sound["nav"], sound["handlers"]) == (1, 1, 1, 0)
    assert sound["images of titles"] == 0
    assert sound["ids given twice"] == []
    assert sound["tables without caption"] == []
    assert serious_faults(page) == []
    for width in (1280, 768, 380):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert scrolls_sideways(page) == [], width


def test_nothing_is_asked_of_any_server(open_page: Open, file: str) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file)
    drawn(page)
    assert asked == [file]


def test_names_that_look_like_markup_are_text(open_page: Open, file: str) -> None:
    page = drawn(open_page(file))  # the page's watch fails the test if any of it ran
    expect(
        page.locator("#d1-people").get_by_text(invented.SCRIPT, exact=True).first
    ).to_be_visible()
    expect(page.locator("#d1-leaderboard").get_by_text(invented.QUOTES).first).to_be_visible()
    point = page.locator("#d1-costs [data-chart]:visible path[aria-roledescription]")
    assert point.count() == 0  # charts are silent: the element around them says what they show


def test_a_chart_tells_of_its_points(open_page: Open, file: str) -> None:
    page = drawn(open_page(file))
    dots = page.locator("#d1-costs-fit_seconds-figure .mark-symbol.role-mark path")
    expect(dots).to_have_count(4)
    dots.nth(1).hover()
    tip = page.locator(".plot-tip")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text(invented.QUOTES)
    expect(tip).to_contain_text("0.4490 ± 0.0100")


def test_another_cost_is_chosen_by_keys(open_page: Open, file: str) -> None:
    page = drawn(open_page(file))
    choice = page.locator("#d1-costs-choice")
    expect(page.locator("#d1-costs-fit_seconds-figure")).to_be_visible()
    tab_to(page, choice)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#d1-costs-peak_bytes-figure svg")).to_be_visible()
    expect(page.locator("#d1-costs-fit_seconds-figure")).to_be_hidden()


def test_tables_are_sorted_by_keys(open_page: Open, file: str) -> None:
    page = open_page(file)
    table = page.locator("#d1-costs table")
    names = table.locator("tbody th")
    expect(names.first).to_contain_text("rdlae")
    button = table.get_by_role("button", name="time of a fit")
    tab_to(page, button)
    page.keyboard.press("Enter")
    expect(names.first).to_contain_text("mult-vae")  # 90 s, the most
    expect(table.locator("th[aria-sort=descending]")).to_contain_text("time of a fit")
    page.keyboard.press("Enter")
    expect(names.first).to_contain_text("popularity")  # 0.004 s
    table.get_by_role("button", name="model", exact=True).click()
    expect(names.first).to_contain_text("rdlae")  # the order of the results again
    expect(table.locator("th[aria-sort]")).to_have_count(1)


def test_without_scripts_all_numbers_are_there(open_page: Open, file: str) -> None:
    page = open_page(file, scripts=False)
    expect(page.locator("[data-chart]:visible")).to_have_count(0)
    for text in ("0.4500", "−0.0500 [−0.0600, −0.0400]", "1.5 s"):
        expect(page.locator("#d1").get_by_text(text).first).to_be_visible()
    expect(page.locator("#d1-map")).to_contain_text("does not run")
    assert structure(page)["tables without caption"] == []


def test_paper_is_light_and_cuts_nothing(open_page: Open, file: str) -> None:
    page = drawn(open_page(file, dark=True))
    paper = page.pdf(prefer_css_page_size=True)  # this fires what printing fires
    assert paper.startswith(b"%PDF")
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 between its margins
    ground, ink = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          return ["--surface-card", "--ink"].map((name) => style.getPropertyValue(name).trim());
        }"""
    )
    assert (ground, ink) == ("#ffffff", "#14252a")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wide = page.evaluate(
        """() => [...document.querySelectorAll("main svg, main canvas, main table, main pre")]
          .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
          .map((e) => e.closest("section").id + " " + e.tagName)"""
    )
    assert wide == []
    expect(page.locator("details:not([open])")).to_have_count(0)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("details[open]")).to_have_count(0)


def test_a_phone_shows_that_the_leaderboard_goes_on_sideways(open_page: Open, file: str) -> None:
    page = open_page(file)
    box = page.locator("#d1-leaderboard .scroll")
    hint = page.locator("#d1-leaderboard .goes-on")
    expect(hint).to_be_hidden()
    page.set_viewport_size({"width": 380, "height": 900})
    expect(hint).to_be_visible()
    assert box.evaluate("(e) => e.scrollWidth > e.clientWidth")
    ends = box.evaluate(
        """(e) => [...e.querySelectorAll("tbody tr:first-child td")]
          .filter((c) => c.offsetWidth && c.offsetLeft + c.offsetWidth <= e.clientWidth).length"""
    )
    assert ends >= 2  # two columns of numbers, since the kind stands below the name
    expect(page.locator("#d1-leaderboard tbody th").first).to_contain_text("linear")
    # and on paper nothing says that anything is to be scrolled
    page.emulate_media(media="print")
    expect(hint).to_be_hidden()


def test_folded_charts_are_drawn_when_they_are_opened(open_page: Open, tmp_path: Path) -> None:
    results = invented.results(n_more=12)
    lines = [
        json.dumps({"data": "set", "model": model["label"], "score": s, "seconds": 1.0})
        for model in results["comparisons"][0]["models"] for s in (0.1, 0.2, 0.3)
    ]  # fmt: skip
    (tmp_path / "trials.jsonl").write_text("\n".join(lines) + "\n")
    page = drawn(open_page(write_report(results, tmp_path)[0].as_uri()))
    charts = page.locator("#d1-tuning [data-chart] svg")
    expect(charts).to_have_count(0)
    page.locator("#d1-tuning summary").click()
    expect(charts).to_have_count(16)
