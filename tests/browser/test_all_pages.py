"""Every page, whatever it shows: readable, accessible, at home on a phone, without jumps or faults.

The pages are those that the service declares, so a new one is tested without being named here,
unless its address has a parameter.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe

from shoal.service.routes import all_endpoints
from tests.browser import catalogue
from tests.browser.conftest import READ_KEY, Open
from tests.browser.driver import Page, expect
from tests.browser.watching import Faults

WIDTHS = (390, 768, 1440)
MOST_SHIFT = 0.02
EXAMPLES = {"item:path": "markup", "item": "markup", "person:path": "u000", "user:path": "u000",
            "person": "u000", "user": "u000", "id:path": "markup"}  # fmt: skip
FOREIGN = "/docs"  # made by another program's script, Swagger UI, whose looks are not ours
AXE = {
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},
}


def paths() -> list[str]:
    """Addresses of all pages, with an example for each parameter."""
    found = []
    for endpoint in all_endpoints():
        if endpoint.page and endpoint.method == "GET" and not endpoint.path.endswith(".json"):
            path = endpoint.path
            for name, value in EXAMPLES.items():
                path = path.replace("{" + name + "}", value)
            assert "{" not in path, f"give an example of the parameter in {path}"
            found.append(path)
    assert "/" in found
    return found


OWN = [path for path in paths() if path != FOREIGN]
HOSTILE_HISTORY = "markup,long,unbroken,hebrew,emoji"
STATES = [
    f"/?history={HOSTILE_HISTORY}&less=film-1-01&models=main,sparse",
    "/steer?user=u000",
    "/steer?history=markup,long&model=sparse",
    "/?search=harbour",
    "/?search=no-such-thing",
    "/item?search=harbour",
    "/item/long",
    "/item/unbroken",
    f"/person?{urlencode({'id': catalogue.STRANGE_PERSON})}",
    "/person/u000?confirm=delete",
    "/models?confirm=rollback&model=main",
]


def scrolls_sideways(page: Page) -> list[str]:
    """What is wider than the window, unless something around it scrolls."""
    return page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= wide) return [];
          const reaches = (e) => e.getBoundingClientRect().right > wide + 1;
          return [`page: ${document.documentElement.scrollWidth} > ${wide}`,
            ...[...document.querySelectorAll("body *")].filter(reaches)
              .map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`)];
        }"""
    )


def serious_faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    result = Axe().run(page, options=AXE)
    return [
        f"{fault['impact']} {fault['id']}: {fault['help']}: "
        + "; ".join(node["html"][:160] for node in fault["nodes"][:3])
        for fault in result.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def structure(page: Page) -> dict[str, Any]:
    """Counts of what a page has to have, and of what it may not have."""
    return page.evaluate(
        """() => {
          const count = (selector) => document.querySelectorAll(selector).length;
          const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
          const bare = (e) => !e.querySelector("caption, title")
            && !e.closest("[aria-hidden=true]")
            && !["aria-label", "aria-labelledby"].some((name) => e.hasAttribute(name));
          const silent = (selector) => [...document.querySelectorAll(selector)].filter(bare);
          return {
            "h1": count("h1"), "main": count("main"), "nav": Math.min(count("nav"), 1),
            "inline styles": count("[style]"), "style elements": count("style"),
            "inline scripts": count("script:not([src])"), "handlers": count("[onclick], [onerror]"),
            "images of titles": count("img[src=x]"),
            "ids given twice": ids.filter((id, n) => ids.indexOf(id) < n),
            "tables without caption": silent("table").map((e) => e.outerHTML.slice(0, 120)),
            "drawings without text": silent("svg").map((e) => e.outerHTML.slice(0, 120)),
          };
        }"""
    )


SOUND: dict[str, Any] = {
    "h1": 1,
    "main": 1,
    "nav": 1,
    "inline styles": 0,
    "style elements": 0,
    "inline scripts": 0,
    "handlers": 0,
    "images of titles": 0,
    "ids given twice": [],
    "tables without caption": [],
    "drawings without text": [],
}


def shown(page: Page, path: str) -> Page:
    """The page, once it shows what it is for."""
    expect(page.locator("h1")).to_be_visible()
    assert page.locator("h1").inner_text().strip(), path
    return page


@pytest.mark.parametrize("path", OWN + STATES)
def test_a_page_is_sound_on_every_screen(open_page: Open, full: str, path: str) -> None:
    page = shown(open_page(full + path), path)
    assert serious_faults(page) == []
    for width in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": 900})
        assert scrolls_sideways(page) == [], width
    page.emulate_media(color_scheme="dark")
    assert serious_faults(page) == []


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_jumps_while_pages_load(open_page: Open, full: str, width: int) -> None:
    page = open_page(full, width=width)
    moved = {}
    for path in OWN + STATES:
        page.goto(full + path)
        if page.locator("[data-source]").count():  # what a script draws comes later
            expect(page.locator("[data-source] canvas")).to_be_visible()
        page.evaluate("() => new Promise((done) => requestIdleCallback(done, {timeout: 1000}))")
        moved[path] = page.evaluate("window.layoutShift")
    assert {path: shift for path, shift in moved.items() if shift >= MOST_SHIFT} == {}


@pytest.mark.parametrize("path", OWN + STATES)
def test_a_page_can_be_read_without_scripts(open_page: Open, full: str, path: str) -> None:
    def outline(page: Page) -> list[str]:
        # beside what stands in for a drawing that only scripts can make, and ages in rows
        heads = ":is(h1, h2, h3, dt, th[scope=col], caption):not([data-source] *)"
        return page.locator("main").locator(heads).all_inner_texts()

    plain = shown(open_page(full + path, scripts=False), path)
    assert structure(plain) == SOUND
    heads, links = outline(plain), plain.locator("main a[href]").count()
    scripted = shown(open_page(full + path), path)
    assert heads == outline(scripted)
    assert links >= scripted.locator("main a[href]").count()
    for form in plain.locator("main form").all():  # each can be sent
        assert form.locator("button:not([type=button]), input[type=submit]").count() >= 1, path


@pytest.mark.parametrize("service", ["bare", "deep", "modelless", "locked"])
def test_a_poor_service_shows_every_page(
    open_page: Open, faults: Faults, service: str, request: pytest.FixtureRequest
) -> None:
    if service == "modelless":
        faults.expect("status 503")
    faults.expect("status 404: .*/person/")  # of whom nothing is stored there
    url = request.getfixturevalue(service)
    key = READ_KEY if service == "locked" else None
    page = open_page(url + "/", width=390, key=key)
    wrong: dict[str, Any] = {}
    for path in [*OWN, "/?history=markup,long"]:
        page.goto(url + path)
        shown(page, path)
        sound = structure(page) | {"inline styles": 0}  # scripts may set some
        about = {
            **{name: found for name, found in sound.items() if found != SOUND[name]},
            # with keys, or without reasons, the pages are built as those of the full service
            "axe": serious_faults(page) if service in ("bare", "modelless") else [],
            "sideways": scrolls_sideways(page),
        }
        wrong |= {f"{path}: {name}": found for name, found in about.items() if found}
    assert wrong == {}


def test_titles_stay_text(open_page: Open, full: str) -> None:
    page = open_page(f"{full}/?history={HOSTILE_HISTORY}")
    for item in ("markup", "long", "hebrew", "emoji"):
        expect(page.get_by_text(catalogue.HOSTILE[item], exact=True).first).to_be_attached()


def test_the_documentation_of_the_api_loads(open_page: Open, full: str) -> None:
    page = open_page(full + FOREIGN)
    expect(page.locator(".opblock").first).to_be_visible()


def test_an_error_is_a_page(open_page: Open, full: str, faults: Faults) -> None:
    faults.expect("status 404")
    page = shown(open_page(full + "/no-such-page"), "error")
    assert structure(page) == SOUND
    assert serious_faults(page) == []
