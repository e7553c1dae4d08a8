"""Every page: no complaint, no sideways scrolling, no jump, readable without scripts, axe is content."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open
from tests.browser.driver import expect


def test_try(open_page, full):
    for dark in (False, True):
        for w in (390, 768, 1440):
            page = open_page(full + "/", width=w, dark=dark)
            expect(page.locator("h1")).to_be_visible()
            print(
                page.evaluate("window.layoutShift"),
                page.evaluate("performance.getEntriesByType('paint').map(e=>[e.name,e.startTime])"),
            )
            print(page.evaluate("[document.documentElement.scrollWidth, innerWidth]"))
    assert 0


def test_docs(open_page, full, bare, deep, modelless, locked, faults):
    page = open_page(full + "/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    open_page(bare + "/")
    open_page(deep + "/")
    open_page(locked + "/", key="read-key-0123456789")
    open_page(modelless + "/")
