"""The pages can be turned off, and the API stays."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.testclient import TestClient

from shoal.service.routes import all_endpoints


def test_pages_can_be_turned_off(client: Callable[..., TestClient]) -> None:
    with_pages, without = client(), client(pages=False)
    pages = [endpoint for endpoint in all_endpoints() if endpoint.page]
    assert {"/", "/person", "/models", "/now", "/online"} <= {each.path for each in pages}
    for endpoint in pages:
        path = re.sub(r"\{\w+(:\w+)?\}", "10", endpoint.path)
        answer = without.request(endpoint.method, path)
        assert answer.status_code == 404, path
        assert "text/html" not in answer.headers["content-type"]
    assert with_pages.get("/").status_code == 200
    assert without.post("/v1/recommend", json={"history": [10]}).status_code == 200
    assert without.get("/docs").status_code == 200


def test_the_documentation_can_be_turned_off_alone(client: Callable[..., TestClient]) -> None:
    without = client(docs=False)
    assert without.get("/docs").status_code == 404
    assert without.get("/openapi.json").status_code == 404
    assert without.get("/").status_code == 200


def test_error_pages_lead_to_no_page_that_is_not_there(client: Callable[..., TestClient]) -> None:
    headers = {"Accept": "text/html"}
    assert 'href="/person"' in client().get("/nothing", headers=headers).text
    assert 'href="/person"' not in client(pages=False).get("/nothing", headers=headers).text
