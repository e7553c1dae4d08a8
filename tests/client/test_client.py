"""The client against a transport that answers as told: retries, waits, errors, and what is sent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from email.utils import formatdate

import httpx
import numpy as np
import pytest

from shoal.client import Client, connection
from shoal.errors import RequestError, ShoalError

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", seconds.append)
    return seconds


def client(handler: Handler, **options: object) -> Client:
    return Client("http://shoal.test", "s3cret", transport=httpx.MockTransport(handler), **options)  # type: ignore[arg-type]


class Script:
    """Answers one after the other, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok() -> httpx.Response:
    return httpx.Response(200, json={"items": []})


def test_what_is_sent() -> None:
    script = Script(ok())
    client(script).recommend({7: 2.0, np.int64(9): np.float32(0.5)}, k=3, filter="year > 1990")
    request = script.requests[0]
    assert (request.method, request.url.path) == ("POST", "/v1/recommend")
    assert request.headers["authorization"] == "Bearer s3cret"
    assert json.loads(request.content) == {
        "history": [{"item": 7, "weight": 2.0}, {"item": 9, "weight": 0.5}],
        "k": 3,
        "filter": "year > 1990",
    }


def test_ratings_keep_the_kind_of_their_ids() -> None:
    script = Script(ok())
    client(script).predict(items=[3], history={7: 4.5, "b": 2})
    assert script.requests[0].url.path == "/v1/predict"
    assert json.loads(script.requests[0].content) == {
        "items": [3],
        "history": [{"item": 7, "rating": 4.5}, {"item": "b", "rating": 2}],
    }


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ("a/b", b"/v1/items/a%2Fb"),
        ("50%", b"/v1/items/50%25"),
        ("..", b"/v1/items/%2E%2E"),
        ("é ?#", b"/v1/items/%C3%A9%20%3F%23"),
        (12, b"/v1/items/12"),
    ],
)
def test_ids_of_any_characters_are_one_segment(item: object, path: bytes) -> None:
    script = Script(ok())
    client(script).item(item)
    assert script.requests[0].url.raw_path == path


def test_a_busy_service_is_asked_again_after_the_time_it_named(waits: list[float]) -> None:
    script = Script(
        httpx.Response(503, headers={"Retry-After": "2"}),
        httpx.Response(429, headers={"Retry-After": formatdate(usegmt=True)}),
        httpx.Response(503),
        ok(),
    )
    assert client(script).similar("a") == {"items": []}
    assert 2.0 < waits[0] < 2.2
    assert waits[1] < 1.2
    assert 0.2 <= waits[2] <= 0.6  # 0.1 s · 2², times 0.5 to 1.5
    assert len(script.requests) == 4


def test_a_service_that_asks_for_a_long_wait_is_not_waited_for(waits: list[float]) -> None:
    script = Script(httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(RequestError) as refused:
        client(script).similar("a")
    assert refused.value.status == 429
    assert waits == []


def test_retries_end(waits: list[float]) -> None:
    script = Script(*[httpx.Response(503, json={"detail": "overloaded: ask later"})] * 3)
    with pytest.raises(RequestError, match="overloaded: ask later") as refused:
        client(script, retries=2).similar("a")
    assert len(waits) == 2
    assert refused.value.status == 503


def test_a_lost_connection_is_tried_again_with_the_same_key(waits: list[float]) -> None:
    accepted = httpx.Response(202, json={"accepted": 1, "duplicates": 0})
    script = Script(httpx.ReadError("reset"), httpx.ConnectError("refused"), accepted)
    client(script).events({"user": "u", "item": "a"})
    keys = {request.headers["idempotency-key"] for request in script.requests}
    assert len(keys) == 1
    assert len(script.requests) == 3
    assert json.loads(script.requests[2].content) == {"events": [{"user": "u", "item": "a"}]}


def test_two_calls_have_two_keys() -> None:
    script = Script(*[httpx.Response(202, json={"accepted": 1})] * 2)
    with client(script) as c:
        c.events([{"user": "u", "item": "a"}])
        c.events([{"user": "u", "item": "a"}])
    assert len({r.headers["idempotency-key"] for r in script.requests}) == 2


def test_what_must_not_happen_twice_is_not_repeated_once_it_may_have_arrived(
    waits: list[float],
) -> None:
    script = Script(httpx.ReadError("reset"))
    with pytest.raises(RequestError, match="cannot be reached"):
        client(script).rollback()
    assert waits == []
    script = Script(httpx.ConnectError("refused"), ok())  # this one never arrived
    client(script).rollback()
    assert len(script.requests) == 2


def test_a_timeout_is_not_repeated(waits: list[float]) -> None:
    script = Script(httpx.ReadTimeout("slow"))
    with pytest.raises(RequestError, match="did not answer in time") as late:
        client(script).recommend(["a"])
    assert late.value.status is None
    assert waits == []


def test_errors_carry_the_services_words() -> None:
    problem = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "k: give 1 to 1000, not 0\x1b[31m",
        "request_id": "r-1",
    }
    script = Script(httpx.Response(422, json=problem))
    with pytest.raises(ShoalError, match="k: give 1 to 1000, not 0 ") as refused:
        client(script).recommend(["a"], k=0)
    error = refused.value
    assert isinstance(error, RequestError)
    assert (error.status, error.request_id, error.problem) == (422, "r-1", problem)
    assert "\x1b" not in str(error)


def test_a_proxys_page_is_no_answer() -> None:
    with pytest.raises(RequestError, match="no JSON object"):
        client(Script(httpx.Response(200, text="<html>"))).models()
    with pytest.raises(RequestError, match="Bad Gateway"):
        client(Script(httpx.Response(502, text="<html>"))).models()


def test_ready_reports_a_service_that_is_not(waits: list[float]) -> None:
    assert client(Script(httpx.Response(503, json={"ready": False}))).ready() == {"ready": False}
    assert waits == []


def test_pages_of_items_follow_the_cursor() -> None:
    def pages(request: httpx.Request) -> httpx.Response:
        if "cursor" not in request.url.params:
            return httpx.Response(
                200, json={"items": [{"item": 1}, {"item": 2}], "next_cursor": "c2"}
            )
        assert request.url.params["cursor"] == "c2"
        assert request.url.params["search"] == "blue lagoon"
        return httpx.Response(200, json={"items": [{"item": 3}], "next_cursor": None})

    assert [row["item"] for row in client(pages).all_items("blue lagoon")] == [1, 2, 3]


def test_the_key_is_shown_nowhere(waits: list[float]) -> None:
    c = client(Script(httpx.ConnectError("refused")), retries=0)
    with pytest.raises(RequestError) as failed:
        c.live()
    assert "s3cret" not in repr(c) + str(failed.value) + repr(failed.value.__dict__)


@pytest.mark.parametrize("url", ["shoal.test", "ftp://shoal.test", "http://", "http://u:p@h/"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Client(url)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(ValueError, match="key: only printable ASCII"):
        Client("http://shoal.test", key)


def test_many_threads_share_a_client() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"item": json.loads(request.content)["item"]})

    c = client(echo)
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        answers[number] = c.similar(number)["item"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: n for n in range(20)}


def test_shoal_is_imported_without_httpx() -> None:
    code = "import sys, shoal, shoal.client; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
