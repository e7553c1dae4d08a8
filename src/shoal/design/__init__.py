"""The design system of all pages: the service's and those that are files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

STYLE_SHEET = "design.css"


@cache
def style_sheet() -> str:
    """The style sheet of all pages, as text."""
    return files("shoal.design").joinpath(STYLE_SHEET).read_text(encoding="utf-8")
