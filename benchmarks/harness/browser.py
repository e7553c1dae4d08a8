"""Chromium, as the system has it or SHOAL_BROWSER names it, driven by Playwright's client."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def browser_program() -> str | None:
    """The program of SHOAL_BROWSER, or the first of the usual names that is there."""
    named = os.environ.get("SHOAL_BROWSER")
    names = [named] if named else NAMES
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """The browser, started with these options, and ended afterwards."""
    from playwright.sync_api import sync_playwright

    program = browser_program()
    if program is None:
        raise SystemExit("no browser: install Chromium, or name a program by SHOAL_BROWSER")
    with sync_playwright() as playwright:
        # its sandbox needs rights that a container may not give; only our own pages are opened
        arguments = ["--no-sandbox", *options]
        opened = playwright.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()
