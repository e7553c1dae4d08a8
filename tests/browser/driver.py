"""Playwright's client, or a skip that says what is missing: the tests import it from here."""

from __future__ import annotations

import os

import pytest

from benchmarks.harness.browser import NAMES, browser_program

try:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
except ImportError:
    pytest.skip(
        "tests in a browser need Playwright's client: pip install 'shoal[test]'",
        allow_module_level=True,
    )

__all__ = ["Browser", "BrowserContext", "Locator", "Page", "expect"]

SECONDS = 20  # that a condition may take, since the machine may be busy with other things

expect.set_options(timeout=SECONDS * 1000)


def skip_without_browser() -> None:
    """Skip where there is no browser; fail where the one that SHOAL_BROWSER names is none."""
    if browser_program() is not None:
        return
    if named := os.environ.get("SHOAL_BROWSER"):
        pytest.fail(f"SHOAL_BROWSER={named} is no program")
    pytest.skip(
        f"no browser: none of {', '.join(NAMES)} is on PATH; install Debian's chromium, or name "
        "a program by SHOAL_BROWSER"
    )
