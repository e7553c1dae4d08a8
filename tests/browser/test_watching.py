"""The tests of pages notice what they claim to notice."""

from __future__ import annotations

import time

import pytest

from tests.browser.conftest import Open
from tests.browser.driver import SECONDS, Browser, Page
from tests.browser.test_all_pages import scrolls_sideways, serious_faults, structure
from tests.browser.watching import Faults

ACTIONS = {
    "console": ("console.error('spoken')", "console error: spoken"),
    "exception": ("setTimeout(() => { throw new Error('thrown'); })", "exception: thrown"),
    "missing file": ("fetch('/static/none.js')", "status 404: "),
    "another host": ("fetch('http://127.0.0.1:9/')", "connect-src"),
    "style": ("document.body.setAttribute('style', 'color: red')", "style-src"),
    "markup": (
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')",
        "script-src",
    ),
    "code": ("window.ran = 1", "markup of a title ran"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_fault_of_a_page_fails_its_test(browser: Browser, bare: str, name: str) -> None:
    action, said = ACTIONS[name]
    faults, context = Faults(), browser.new_context()
    faults.watch_context(context)
    page = context.new_page()
    page.goto(bare + "/")
    faults.check()
    page.evaluate(f"() => {{ {action}; }}")
    end = time.monotonic() + SECONDS
    while not faults.seen and time.monotonic() < end:
        page.evaluate("() => new Promise(requestAnimationFrame)")  # in which events arrive
    context.close()
    with pytest.raises(AssertionError, match=said):
        faults.check()


def spoil(page: Page, markup: str) -> None:
    page.evaluate("(markup) => document.querySelector('main').innerHTML += markup", markup)


def test_what_is_wrong_with_a_page_is_found(open_page: Open, bare: str) -> None:
    page = open_page(bare + "/", width=390)
    assert scrolls_sideways(page) == []
    assert serious_faults(page) == []
    spoil(page, "<table><tr><td>1</td></tr></table><h1>Another</h1><svg width=900></svg>")
    spoil(page, "<input type=text>")
    about = structure(page)
    assert about["h1"] == 2
    assert len(about["tables without caption"]) == 1
    assert len(about["drawings without text"]) == 1
    assert scrolls_sideways(page) != []
    assert "critical label" in "".join(serious_faults(page))
    page.evaluate(
        """() => new Promise((done) => {
          const box = document.createElement("div");
          box.style.height = "400px";
          document.querySelector("main").prepend(box);
          requestAnimationFrame(() => setTimeout(done, 100));
        })"""
    )
    assert page.evaluate("window.layoutShift") > 0.02
