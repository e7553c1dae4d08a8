"""Now and Experiments: what the service does is seen there, and a variant is promoted."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.browser import catalogue
from tests.browser.conftest import ADMIN_KEY, READ_KEY, Open
from tests.browser.driver import Page, expect
from tests.browser.test_changing import CLICK, KEYS, press

EXPERIMENT = "autumn"
VARIANTS = ("control", "diverse", "sparse")


def ask(service: str, path: str, body: dict[str, object], key: str = "") -> dict[str, object]:
    """Ask as a program does."""
    headers = {"X-API-Key": key} if key else {}
    answer = httpx.post(service + path, json=body, headers=headers, timeout=20)
    assert answer.status_code < 300, answer.text
    content: dict[str, object] = answer.json()
    return content


def test_requests_are_seen_without_loading_the_page(open_page: Open, full: str) -> None:
    page = open_page(full + "/now?minutes=10")
    expect(page.locator(".stats dd").first).to_be_visible()
    requests = page.locator(".stats > div").filter(has_text="requests").locator("dd").first
    before = requests.inner_text()
    page.evaluate("window.same = true")
    for number in range(40):
        ask(full, "/v1/recommend", {"history": ["markup"], "k": 3, "user": f"u{number:03}"})
    expect(requests).not_to_have_text(before)  # the page looks by itself
    assert page.evaluate("window.same")
    charts = page.locator("svg.chart")
    assert charts.count() >= 4
    for chart in charts.all():
        assert chart.get_attribute("aria-label") or chart.get_attribute("aria-labelledby"), chart


def shown_and_clicked(service: str) -> None:
    """What the service recommends is shown to 60 people, some of whom click the first item."""
    for number in range(60):
        user = f"u{number:03}"
        answer = ask(
            service, "/v1/recommend", {"history": ["markup"], "k": 5, "user": user}, ADMIN_KEY
        )
        items = [row["item"] for row in answer["items"]]  # type: ignore[attr-defined]
        body: dict[str, object] = {"request_id": f"shown-{number}", "user": user, "items": items}
        if number % 3 == 0:
            body["clicked"] = items[:1]
        ask(service, "/v1/track", body, ADMIN_KEY)


def test_the_experiment_is_reported(open_page: Open, locked: str) -> None:
    shown_and_clicked(locked)
    page = open_page(locked + "/online", key=READ_KEY)
    expect(page.locator("h1")).to_have_text(re.compile(EXPERIMENT))
    rows = page.locator("table.variants tbody tr")
    expect(rows).to_have_count(len(VARIANTS))
    users = [int(row.locator("td .number").first.inner_text()) for row in rows.all()]
    assert sum(users) >= 60
    expect(page.get_by_role("link", name="Promote")).to_have_count(0)  # a key for reading


@pytest.mark.parametrize("how", [CLICK, KEYS])
def test_a_variant_is_promoted_and_taken_back(open_page: Open, locked: str, how: str) -> None:
    def promoted(page: Page) -> int:
        return page.locator("table.variants tr.live").count()

    page = open_page(locked + "/online", key=ADMIN_KEY)
    assert promoted(page) == 0
    press(page, "Promote… diverse", "link", how)
    expect(page.get_by_role("heading", name="Give everybody diverse?")).to_be_visible()
    assert promoted(page) == 0  # a question changes nothing
    press(page, "Promote diverse", "button", how)
    expect(page.locator(".notice.good").first).to_be_visible()
    assert promoted(page) == 1
    press(page, "Undo", "link", how)
    press(page, "Undo", "button", how)
    expect(page.locator("table.variants tr.live")).to_have_count(0)


def test_a_title_with_markup_stays_text_in_every_list(open_page: Open, full: str) -> None:
    page = open_page(full + "/steer?history=markup,script")
    expect(page.get_by_text(catalogue.HOSTILE["markup"]).first).to_be_attached()
    expect(page.get_by_text(catalogue.HOSTILE["script"]).first).to_be_attached()
