"""What changes something: only with the right key, and only after a question that says so."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from tests.browser import catalogue
from tests.browser.conftest import ADMIN_KEY, READ_KEY, Open, tab_to
from tests.browser.driver import Page, expect
from tests.browser.watching import Faults

CLICK, KEYS = "mouse", "keyboard"


def press(page: Page, name: str, role: str, how: str) -> None:
    """Follow a link or press a button, and wait for the page that it leads to."""
    target = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    if how == KEYS:
        tab_to(page, target)
    with page.expect_navigation():
        if how == CLICK:
            target.click()
        else:
            page.keyboard.press("Enter")


def live_version(page: Page) -> str:
    """The version that the table calls live."""
    return page.locator("tr.live code").first.inner_text()


def test_a_key_for_reading_changes_nothing(open_page: Open, locked: str) -> None:
    page = open_page(locked + "/models", key=READ_KEY)
    expect(page.locator("tr.live").first).to_be_visible()
    expect(page.get_by_role("link", name="Make it live")).to_have_count(0)
    expect(page.get_by_role("link", name="Roll back")).to_have_count(0)
    page.goto(locked + "/models?confirm=rollback&model=main")
    expect(page.get_by_text("needs an admin key")).to_be_visible()
    expect(page.locator("main form")).to_have_count(0)
    page.goto(locked + "/person/u000?confirm=delete")
    expect(page.get_by_text("needs an admin key")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)


@pytest.mark.parametrize("how", [CLICK, KEYS])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_version_is_made_live_and_taken_back(
    open_page: Open, locked: str, how: str, scripts: bool
) -> None:
    page = open_page(locked + "/models", key=ADMIN_KEY, scripts=scripts)
    before = live_version(page)
    press(page, "Make it live", "link", how)
    expect(page.get_by_role("heading", name=re.compile("^Make .* live\\?$"))).to_be_visible()
    assert live_version(page) == before  # a question changes nothing
    press(page, "Leave it as it is", "link", how)
    expect(page.locator("#question")).to_have_count(0)
    press(page, "Make it live", "link", how)
    press(page, "Make it live", "button", how)
    after = live_version(page)
    expect(page.locator("#boards > .notice").first).to_contain_text(after)
    if scripts:  # it says by itself when the version answers
        expect(page.locator("#boards > .notice.good")).to_have_text(f"{after} answers now.")
    assert after != before
    press(page, "Roll back", "link", how)
    press(page, "Roll back", "button", how)
    assert live_version(page) == before


def test_the_table_and_the_question_fit(open_page: Open, locked: str) -> None:
    outside = """() => [...document.querySelectorAll(".versions svg.interval")].filter((bar) => {
        const cell = bar.closest("td").getBoundingClientRect(), own = bar.getBoundingClientRect();
        return bar.closest("td.number") || own.left < cell.left || own.right > cell.right;
    }).length"""
    page = open_page(locked + "/models", key=ADMIN_KEY, width=1440)
    expect(page.locator("tr.live").first).to_be_visible()
    assert page.evaluate(outside) == 0
    page = open_page(locked + "/models", key=ADMIN_KEY, width=390)
    assert page.evaluate(outside) == 0
    press(page, "Make it live", "link", CLICK)
    expect(page.locator("table.changes")).to_be_visible()
    hidden = """() => {
        const around = document.querySelector("table.changes").parentElement;
        return around.scrollWidth - around.clientWidth;
    }"""
    assert page.evaluate(hidden) <= 0


@pytest.mark.parametrize("how", [CLICK, KEYS])
def test_a_person_is_deleted(open_page: Open, locked: str, faults: Faults, how: str) -> None:
    person = "u001" if how == CLICK else catalogue.STRANGE_PERSON
    page = open_page(f"{locked}/person?{urlencode({'id': person})}", key=ADMIN_KEY)
    expect(page.locator("h1")).to_have_text(person)
    events = page.locator("#events ~ .list > li")
    expect(events.first).to_be_visible()
    press(page, "Delete", "link", how)
    expect(page.get_by_role("heading", name="Delete all")).to_be_visible()
    press(page, "Keep everything", "link", how)
    expect(events.first).to_be_visible()
    press(page, "Delete", "link", how)
    press(page, "Delete for good", "button", how)
    expect(page.get_by_role("status").filter(has_text="deleted for good")).to_be_visible()
    faults.expect("status 404")  # from here on
    page.goto(f"{locked}/person?{urlencode({'id': person})}")
    expect(page.get_by_text("this id was deleted on")).to_be_visible()


def test_another_site_cannot_change_anything(
    open_page: Open, locked: str, bare: str, faults: Faults
) -> None:
    """A form of another origin, sent by somebody who is signed in."""
    page = open_page(locked + "/models", key=ADMIN_KEY)
    before = live_version(page)
    other = page.locator("tbody tr:not(.live) code").first.inner_text()
    faults.expect("status 403")
    fields = "".join(
        f'<input name="{name}" value="{value}">'
        for name, value in (("model", "main"), ("version", other), ("live", before))
    )
    form = f'<form method="post" action="{locked}/models/activate">{fields}<button>Win</button>'
    page.route("**/prize", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(bare.replace("127.0.0.1", "localhost") + "/prize")
    page.get_by_role("button", name="Win").click()
    expect(page.locator("h1")).to_be_visible()
    page.goto(locked + "/models")
    assert live_version(page) == before
