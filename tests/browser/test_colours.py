"""Contrast of all texts, computed from the tokens of the design system; this needs no browser.

The design system says by a token's name what it is for: every ``--ink…`` is a text that may stand
on every ``--surface-…``, ``--on-NAME`` stands on ``--fill-NAME``, and a ``--mark-…`` has to be
seen on every surface without being a text. The rules of the file are read, too, so that no other
colour, and no token of another kind, comes to a text or a background.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from shoal.design import style_sheet

STYLE = style_sheet()
TEXT, SIGN = 4.5, 3.0  # what WCAG 2.2 asks of a text (1.4.3) and of what is no text (1.4.11)
Colours = dict[str, tuple[int, int, int]]

DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}\s*\}", re.DOTALL)
LIGHT = re.compile(r"^:root \{(.*?)\}", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
SLIDER = re.compile(r"::-\w+-(slider|range)-")  # its parts have no text
PLAIN = {"none", "transparent", "inherit", "currentcolor"}  # words that bring no colour


def colours(block: str) -> Colours:
    """The opaque colours among the tokens of a block, in red, green and blue."""
    found = {}
    for name, digits in re.findall(r"--([\w-]+):\s*#([0-9a-fA-F]+)\s*;", block):
        if len(digits) in (3, 6):
            pairs = [2 * c for c in digits] if len(digits) == 3 else re.findall("..", digits)
            red, green, blue = (int(pair, 16) for pair in pairs)
            found[name] = (red, green, blue)
    return found


def themes() -> dict[str, Colours]:
    """The tokens when it is light, and when it is dark: those that change replace the others."""
    light, dark = LIGHT.search(STYLE), DARK.search(STYLE)
    assert light
    assert dark
    return {"light": colours(light[1]), "dark": colours(light[1]) | colours(dark[1])}


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    shares = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """Contrast ratio, as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def declarations(kinds: str) -> list[tuple[str, str]]:
    """Selector and value of all declarations of these properties where there can be a text."""
    rules = COMMENT.sub("", LIGHT.sub("", DARK.sub("", STYLE)))
    return [
        (selector.strip(), value.strip())
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", rules)
        if not SLIDER.search(selector)
        for value in re.findall(rf"(?:^|[;\s])(?:{kinds})\s*:\s*([^;]+)", body)
    ]


def test_the_formula_gives_known_ratios() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    # the greys that accessibility guides name as the lightest that passes, and the next one
    assert contrast((0x76, 0x76, 0x76), (255, 255, 255)) == pytest.approx(4.54, abs=0.005)
    assert contrast((0x77, 0x77, 0x77), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_every_surface(theme: str) -> None:
    tokens = themes()[theme]
    inks = [name for name in tokens if name.split("-")[0] == "ink"]
    surfaces = [name for name in tokens if name.startswith("surface-")]
    assert len(inks) >= 3
    assert len(surfaces) >= 3
    pairs = list(product(inks, surfaces))
    fills = [name for name in tokens if name.startswith("on-")]
    assert fills
    pairs += [(name, name.replace("on-", "fill-", 1)) for name in fills]
    weak = {
        f"--{ink} on --{ground}": round(ratio, 2)
        for ink, ground in pairs
        if (ratio := contrast(tokens[ink], tokens[ground])) < TEXT
    }
    assert not weak


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_sign_can_be_seen_on_every_surface(theme: str) -> None:
    tokens = themes()[theme]
    signs = [n for n in tokens if n.startswith(("mark-", "fill-"))]
    surfaces = [name for name in tokens if name.startswith("surface-")]
    weak = {
        f"--{sign} on --{ground}": round(ratio, 2)
        for sign, ground in product(signs, surfaces)
        if (ratio := contrast(tokens[sign], tokens[ground])) < SIGN
    }
    assert not weak


def test_both_themes_have_all_colours() -> None:
    light, dark = LIGHT.search(STYLE), DARK.search(STYLE)
    assert light
    assert dark
    assert set(colours(light[1])) == set(colours(dark[1]))


def test_texts_and_backgrounds_come_from_tokens_of_their_kind() -> None:
    wrong = []
    for kinds, wanted in (
        ("color", r"var\(--(ink|on)(-[\w-]+)?\)"),
        ("background(?:-color)?", r"var\(--(surface|fill)-[\w-]+\)"),
    ):
        found = declarations(kinds)
        assert len(found) > 5
        wrong += [
            f"{selector}: {value}"
            for selector, value in found
            if value.lower() not in PLAIN and not re.fullmatch(wanted, value)
        ]
    drawn = [(s, v) for s, v in declarations("fill") if re.search(r"\btext$", s)]
    assert drawn
    wrong += [f"{s}: {v}" for s, v in drawn if not re.fullmatch(r"var\(--ink(-[\w-]+)?\)", v)]
    assert not wrong


def test_a_rule_with_text_and_fill_takes_a_pair_that_belongs_together() -> None:
    rules = COMMENT.sub("", STYLE)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", rules):
        ground = re.search(r"background(?:-color)?:\s*var\(--fill-([\w-]+)\)", body)
        text = re.search(r"(?:^|[;\s])color:\s*var\(--([\w-]+)\)", body)
        if ground and not SLIDER.search(selector):
            assert text, selector
            assert text[1] == f"on-{ground[1]}", selector
