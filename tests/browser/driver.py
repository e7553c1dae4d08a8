"""Playwright's client, or a skip that says what is missing: the tests import it from here."""

from __future__ import annotations

import os
import shutil

import pytest

try:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
except ImportError:
    pytest.skip(
        "tests in a browser need Playwright's client: pip install 'shoal[test]'",
        allow_module_level=True,
    )

__all__ = ["Browser", "BrowserContext", "Locator", "Page", "expect", "sync_playwright"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 20  # that a condition may take, since the machine may be busy with other things

expect.set_options(timeout=SECONDS * 1000)


def browser_program() -> str:
    """The program of SHOAL_BROWSER, or Chromium as the system has it; skips where none is there."""
    named = os.environ.get("SHOAL_BROWSER")
    if named:
        program = shutil.which(named)
        if program is None:
            pytest.fail(f"SHOAL_BROWSER={named} is no program")
        return program
    for name in NAMES:
        if program := shutil.which(name):
            return program
    pytest.skip(
        f"no browser: none of {', '.join(NAMES)} is on PATH; install Debian's chromium, or name "
        "a program by SHOAL_BROWSER"
    )
