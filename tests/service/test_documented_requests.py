"""The requests that docs/serving.md prints have fields that the service takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^    (/v1/\S+) +(\{.*\})(?: +#.*)?$", PAGE, re.MULTILINE)
CURLS = re.findall(r"curl http://127\.0\.0\.1:8000(\S+) -H [^']*'[^']*'[\s\\]+-d '([^']*)'", PAGE)
SHOWN = re.findall(r'^    (\{"impressions": .*?\}\]\})$', PAGE, re.MULTILINE | re.DOTALL)
REQUESTS = [*LISTED, *CURLS, *(("/v1/events", body) for body in SHOWN)]


def test_the_page_has_requests_of_each_form() -> None:
    assert len(LISTED) >= 9
    assert len(CURLS) >= 4
    assert len(SHOWN) == 1


@pytest.mark.parametrize(("route", "body"), REQUESTS)
def test_documented_requests(client: Any, tmp_path: Path, route: str, body: str) -> None:
    made = client(events=str(tmp_path / "events.sqlite"))
    answer = made.post(route, content=body, headers={"Content-Type": "application/json"})
    told = answer.json()
    places = {error["place"] for error in told.get("errors") or ()}
    # ids, versions and knobs of the demo are unknown here, and this model has no texts
    assert places <= {"body.item", "body.items", "body.new_items", "body.steer"}, told
    assert answer.status_code in (200, 404, 409, 422), told
