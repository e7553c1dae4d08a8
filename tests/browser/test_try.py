"""Try: a history is built by mouse and by keys, lists follow it, and the address holds it all."""

from __future__ import annotations

import pytest

import shoal
from tests.browser import catalogue
from tests.browser.conftest import Open, Shop, tab_to
from tests.browser.driver import Page, expect


def chosen(page: Page) -> list[str]:
    """Titles of the history."""
    return page.locator("#history .chips bdi").all_inner_texts()


def listed(page: Page, number: int = 1) -> list[str]:
    """Titles of a list."""
    return page.locator(f"article:has(#list-{number}) .list > li > .line bdi").all_inner_texts()


def expected(shop: Shop, *history: str) -> list[str]:
    """The list that Python gives for the live version."""
    answer = shoal.recommend(shop.store.load(), list(history), 10, run=catalogue.ONE_THREAD)
    titles = dict(catalogue.item_table().select("item", "title").iter_rows())
    return [titles[row.item] for row in answer]


def one_line(titles: list[str]) -> list[str]:
    return [" ".join(title.split()) for title in titles]


def test_a_history_is_built_while_typing(open_page: Open, full: str, shop: Shop) -> None:
    page = open_page(full + "/")
    page.evaluate("window.same = true")
    search = page.locator("#search")
    for text, title in (("not a pic", "markup"), ("the shoal", "emoji")):
        search.press_sequentially(text)
        expect(page.locator("#found a.pick")).to_have_count(1)
        page.locator("#found a.pick").click()
        expect(page.locator("#history .chips bdi").last).to_have_text(catalogue.HOSTILE[title])
    assert page.evaluate("window.same")  # the page itself was never loaded anew
    assert listed(page) == one_line(expected(shop, "markup", "emoji"))


def test_a_history_is_built_by_keys(open_page: Open, full: str, shop: Shop) -> None:
    page = open_page(full + "/")
    page.keyboard.press("/")
    for text, number in (("desert tale", 1), ("not a pic", 2)):
        expect(page.locator("#search")).to_be_focused()  # also after an item was added
        page.keyboard.type(text)
        expect(page.locator("#found a.pick").first).to_contain_text(text[:6], ignore_case=True)
        page.keyboard.press("ArrowDown")
        expect(page.locator("#found a.pick").first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#history .chips > li")).to_have_count(number)
    tab_to(page, page.get_by_role("link", name="remove markup"))
    page.keyboard.press("Enter")
    expect(page.locator("#history .chips > li")).to_have_count(1)
    assert chosen(page)[0].startswith("Desert tale")
    expect(page.locator("#history .chips .remove").last).to_be_focused()  # of what is left


def test_the_focus_stays_when_the_list_under_it_changes(open_page: Open, full: str) -> None:
    page = open_page(full + "/")
    page.locator("#search").press_sequentially("harbour")
    expect(page.locator("#found a.pick").first).to_contain_text("Harbour")
    page.keyboard.type(" tale")
    page.keyboard.press("ArrowDown")  # before the list of these words is there
    page.wait_for_url("**search=harbour+tale")
    expect(page.locator("#found a.pick").first).to_be_focused()
    expect(page.locator("#found a.pick").first).to_contain_text("Harbour tale")


def test_the_address_holds_the_state(open_page: Open, full: str) -> None:
    page = open_page(full + "/?models=main,sparse")
    page.locator("#found a.pick").first.click()
    expect(page.locator("#history .chips > li")).to_have_count(1)
    first = page.url
    page.locator("article").first.get_by_role("link", name="less like").first.click()
    expect(page.get_by_role("heading", name="Less like this")).to_be_visible()
    assert page.url != first
    lists = [listed(page, 1), listed(page, 2)]
    assert all(len(titles) == 10 for titles in lists)
    assert lists[0] != lists[1]  # two models
    again = open_page(page.url, scripts=False)
    assert [listed(again, 1), listed(again, 2)] == lists
    assert chosen(again) == chosen(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Less like this")).to_have_count(0)
    assert page.url == first


def test_less_like_an_item_takes_it_and_its_like_away(open_page: Open, full: str) -> None:
    page = open_page(full + "/?history=markup,film-1-01")
    before = listed(page)
    victim = before[0]
    page.locator("article").first.get_by_role("link", name="less like").first.click()
    expect(page.locator("#history .chips .less, #history li.less")).to_have_count(1)
    after = listed(page)
    assert victim not in after
    assert after != before[1:]


def test_reasons_go_to_both_sides(open_page: Open, full: str) -> None:
    page = open_page(full + "/?history=markup,emoji,film-1-01,film-2-02,film-3-03")
    assert page.locator("rect.plus").count() > 0
    assert page.locator("rect.minus").count() > 0
    widths = page.locator(".because rect.plus").evaluate_all(
        "(bars) => bars.map((bar) => bar.getBoundingClientRect().width)"
    )
    assert max(widths) > 10
    assert min(widths) >= 0
    page.locator("article summary").first.click()
    expect(page.locator("article details[open] .because").first).to_be_visible()


def test_a_second_model_is_shown_beside(open_page: Open, full: str) -> None:
    page = open_page(full + "/?history=markup,emoji")
    expect(page.locator("article")).to_have_count(1)
    box = page.get_by_role("checkbox", name="sparse")
    tab_to(page, box)
    page.keyboard.press("Space")
    expect(page.locator("article")).to_have_count(2)
    expect(page.get_by_role("checkbox", name="sparse")).to_be_focused()
    tops = [page.locator("article").nth(n).bounding_box() for n in (0, 1)]
    assert tops[0] is not None
    assert tops[1] is not None
    assert tops[0]["y"] == tops[1]["y"]  # side by side on a wide screen
    page.set_viewport_size({"width": 390, "height": 900})
    tops = [page.locator("article").nth(n).bounding_box() for n in (0, 1)]
    assert tops[0] is not None
    assert tops[1] is not None
    assert tops[0]["x"] == tops[1]["x"]  # below each other on a phone


def test_a_filter_is_explained_where_it_is_wrong(open_page: Open, full: str) -> None:
    page = open_page(full + "/?history=markup")
    page.locator("#filter").fill("year >= 1990")
    page.locator("#filter").press("Enter")
    expect(page.locator("#filter")).to_have_value("year >= 1990")
    years = dict(catalogue.item_table().select("title", "year").iter_rows())
    short = {" ".join(title.split()): year for title, year in years.items()}
    page.wait_for_url("**filter=*")
    titles = listed(page)
    assert titles
    assert all(short[title] >= 1990 for title in titles)
    page.locator("#filter").fill("yeer >= 1990")
    page.locator("#filter").press("Enter")
    expect(page.locator("#filter-help")).to_contain_text("yeer")
    expect(page.locator("#filter")).to_be_focused()


@pytest.mark.parametrize("scripts", [True, False])
def test_an_unknown_id_is_said(open_page: Open, full: str, scripts: bool) -> None:
    page = open_page(full + "/?history=markup,no-such-film", scripts=scripts)
    expect(page.locator("#history").get_by_text("no-such-film")).to_be_visible()
    expect(page.locator("#history .unknown")).to_have_count(1)
    page.get_by_role("link", name="remove no-such-film").click()
    expect(page.locator("#history .unknown")).to_have_count(0)


def test_reasons_have_two_lines_where_there_is_room(open_page: Open, full: str) -> None:
    page = open_page(full + "/?history=markup,emoji,film-1-01,film-2-02", width=1440)
    measured = page.locator("article .because .label").evaluate_all(
        """labels => labels.map(label => {
            const line = parseFloat(getComputedStyle(label).lineHeight);
            return [label.clientHeight / line, label.scrollHeight / line];
        })"""
    )
    shown, needed = zip(*measured, strict=True)
    assert max(needed) > 1.5  # a title longer than a line
    for lines, all_lines in measured:
        assert lines >= min(all_lines, 2) - 0.2
    assert max(shown) < 2.5
