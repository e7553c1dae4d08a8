"""What clients send by mistake or on purpose: a problem that names the place, never a 5xx."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

MANY = list(range(100_000))


@pytest.fixture
def made(client: Any) -> Any:
    return client()


def check(answer: Any, status: int, *words: str) -> dict[str, Any]:
    problem = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(problem) >= {"type", "title", "status", "detail", "instance", "request_id", "errors"}
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    for word in words:
        assert word in json.dumps(problem), (word, problem)
    return problem


@pytest.mark.parametrize(
    ("raw", "status", "word"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "line 1, column 2"),
        (b'{"history": [NaN]}', 400, "NaN"),
        (b'{"history": {"10": Infinity}}', 400, "Infinity"),
        (b'{"history": {"10": 1e999}}', 400, "too large"),
        (b'{"k": ' + b"9" * 5000 + b"}", 400, "digits"),
        (b'{"history": [' + b"9" * 30 + b"]}", 422, "64 bits"),
        (b'{"k": 1, "k": 2, "history": []}', 400, "twice"),
        (b"[" * 100_000, 400, "brackets"),
        (b'{"history": ' + b"[" * 500 + b"]" * 500 + b"}", 400, "brackets"),
        (b'{"history": ["\\ud800"]}', 422, "surrogate"),
        (b"\xff\xfe", 400, "UTF-8"),
        (b"\xef\xbb\xbf{}", 400, "no JSON"),
        (b"[]", 422, "object"),
        (b"null", 422, "object"),
        (b"7", 422, "object"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_malformed_bodies(made: Any, raw: bytes, status: int, word: str) -> None:
    json_type = {"Content-Type": "application/json"}
    for route in ("recommend", "rank", "batch"):
        answer = made.post(f"/v1/{route}", content=raw, headers=json_type)
        if route == "recommend":
            check(answer, status, word)
        else:
            assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "body.history"),
        ({"history": "10"}, "body.history"),
        ({"history": [1.5]}, "body.history[0]"),
        ({"history": [10, None]}, "body.history[1]"),
        ({"history": [True]}, "body.history[0]"),
        ({"history": [10, [10]]}, "body.history[1]"),
        ({"history": [{"item": 10, "weight": "x"}]}, "body.history[0].weight"),
        ({"history": [{"weight": 1}]}, "body.history[0]"),
        ({"history": [""]}, "body.history[0]"),
        ({"history": ["x" * 257]}, "256"),
        ({"history": MANY[:1001]}, "1,001"),
        ({"history": [], "k": 0}, "body.k"),
        ({"history": [], "k": 1001}, "body.k"),
        ({"history": [], "k": "3"}, "body.k"),
        ({"history": [], "k": True}, "body.k"),
        ({"history": [], "k": 2.5}, "body.k"),
        ({"history": [], "exclude": MANY[:10_001]}, "10,001"),
        ({"history": [], "only": "10"}, "body.only"),
        ({"history": [], "diversity": 1.5}, "body.diversity"),
        ({"history": [], "include_seen": "yes"}, "body.include_seen"),
        ({"history": [], "explain": 1}, "body.explain"),
        ({"history": [], "boost": {"year": 0}}, "body.boost"),
        ({"history": [], "boost": {f"year == {n}": 2 for n in range(51)}}, "body.boost"),
        ({"history": [], "filter": 7}, "body.filter"),
        ({"history": [], "filter": "x" * 3000}, "body.filter"),
        ({"history": [], "limit": 7}, "body.limit"),
        ({"history": [], "new_items": True}, "body.new_items"),
        ({"user": {"id": 1}}, "body.user"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_wrong_values_name_their_place(made: Any, body: dict[str, Any], place: str) -> None:
    check(made.post("/v1/recommend", json=body), 422, place)


@pytest.mark.parametrize(
    ("route", "body", "detail"),
    [
        (
            "recommend",
            {"user_id": "u1"},
            "body.user_id: there is no such field; did you mean user?",
        ),
        ("recommend", {"items": [10]}, "body.items: there is no such field; did you mean history?"),
        ("recommend", {"history": [10], "topK": 3}, "body.topK: .*; did you mean k\\?"),
        ("recommend", {"history": [10], "divresity": 1}, ".*; did you mean diversity\\?"),
        ("similar", {"itemId": 10}, "body.itemId: .*; did you mean item\\? .and 1 more."),
        ("rank", {"history": [10], "items": [20]}, "body.items: .*; did you mean candidates\\?"),
        ("complement", {"cart": [10]}, "body.cart: .*; did you mean items\\?"),
        (
            "predict",
            {"user": 1, "items": [10], "zz": 1},
            "body.zz: .*; there are model, user, items, history",
        ),
        (
            "recommend",
            {"history": [10], "new_items": [{"item": "n", "txt": "x"}]},
            ".*txt: .*; did you mean text\\?",
        ),
    ],
)
def test_a_field_by_another_name_is_told_the_right_one(
    made: Any, route: str, body: dict[str, Any], detail: str
) -> None:
    answer = made.post(f"/v1/{route}", json=body)
    check(answer, 422)
    assert re.match(detail, answer.json()["detail"]), answer.json()["detail"]


def test_a_body_that_is_no_object_is_shown_one(made: Any) -> None:
    detail = made.post("/v1/recommend", json=["m1"]).json()["detail"]
    assert detail == (
        'body: give a JSON object such as {"history": ["m1", "m2"], "k": 5, "explain": true}; '
        "this is a list"
    )


@pytest.mark.parametrize(
    "text",
    [
        "price < 3",  # no such attribute
        "__import__('os').system('true')",
        "9**9**9**9",
        "(" * 500 + "year" + ")" * 500,
        "year" + " + year" * 400,
        "'a' * 10**9",
        "year.__class__",
        "[x for x in ()]",
        "\x00",
        "",
    ],
)
def test_expressions_that_are_none(made: Any, text: str) -> None:
    check(made.post("/v1/recommend", json={"history": [10], "filter": text}), 422)
    assert made.post("/v1/recommend", json={"history": [10], "boost": text}).status_code == 422


def test_an_item_that_is_not_there_is_a_404(made: Any) -> None:
    for route in ("similar", "dissimilar"):
        check(made.post(f"/v1/{route}", json={"item": "moon"}), 404, "moon", "10, 20, 30")
    check(made.post("/v1/explain", json={"history": [10], "item": 7}), 404, "body.item")


def test_requests_without_anything_to_do(made: Any) -> None:
    check(made.post("/v1/complement", json={"items": []}), 422)
    check(made.post("/v1/batch", json={"requests": []}), 422, "body.requests")
    check(made.post("/v1/batch", json={"requests": [{"history": []}] * 101}), 422, "body.requests")


def test_more_reasons_than_an_answer_can_hold(made: Any) -> None:
    person = {"history": MANY[:1000], "explain": True}
    ranked = made.post("/v1/rank", json={**person, "candidates": MANY[:101]})
    check(ranked, 422, "body.explain", "100,000")
    assert made.post("/v1/rank", json={**person, "candidates": MANY[:100]}).status_code == 200
    one = {**person, "k": 4}  # 4,000 reasons: the catalogue has no more items
    told = made.post("/v1/batch", json={"requests": [one] * 26}).json()
    assert [row["status"] for row in told["answers"]] == [200] * 25 + [422]


def test_a_body_that_is_too_large(made: Any) -> None:
    json_type = {"Content-Type": "application/json"}
    large = b'{"history": [' + b" " * 2**20 + b"]}"
    check(made.post("/v1/recommend", content=large, headers=json_type), 413, "1,048,576")
    pieces = (b" " * 100_000 for _ in range(20))  # without a length in the head
    check(made.post("/v1/recommend", content=pieces, headers=json_type), 413)


def test_a_body_of_another_type(made: Any) -> None:
    answer = made.post("/v1/recommend", content=b"{}", headers={"Content-Type": "text/plain"})
    check(answer, 415, "application/json")
    check(made.post("/v1/recommend", content=b"{}"), 415)


def test_paths_methods_and_queries(made: Any) -> None:
    check(made.get("/v1/nothing"), 404)
    check(made.get("/v1/live/", follow_redirects=False), 404)
    check(made.get("/%00"), 404)
    problem = made.put("/v1/recommend")
    check(problem, 405)
    assert problem.headers["allow"] == "POST"
    for path in ("/v1/live", "/ready", "/static/design.css", "/v1/items?limit=2"):
        whole, headers = made.get(path), made.head(path)
        assert (headers.status_code, headers.content) == (200, b"")
        assert headers.headers["content-type"] == whole.headers["content-type"]
    refused = made.head("/v1/recommend")
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")
    check(made.get("/v1/recommend/ann?k=many"), 422, "query.k")
    check(made.get("/v1/recommend/ann?k=1&k=2"), 422, "twice")
    check(made.get("/v1/recommend/ann?depth=2"), 422, "query.depth")
    check(made.get("/v1/recommend/" + "x" * 300), 422, "256")
    check(made.post("/v1/recommend?debug=1", json={"history": []}), 422, "query.debug")


def test_a_fault_of_the_service_is_a_500_without_its_text(
    made: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from shoal.service import answers

    def broken(*_: Any) -> None:
        raise KeyError("ann's history")

    monkeypatch.setattr(answers, "history_of", broken)
    problem = check(made.post("/v1/recommend", json={"history": [10]}), 500)
    assert "ann" not in json.dumps(problem)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    fault = next(line for line in lines if line["message"] == "fault")
    assert fault["request_id"] == problem["request_id"]
    assert fault["error"] == "KeyError"
    assert any("broken" in place for place in fault["traceback"])
    assert "ann" not in json.dumps(lines)
