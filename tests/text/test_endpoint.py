"""A server on the loopback answers well, late, wrongly or not at all; the key stays hidden."""

from __future__ import annotations

import email.utils
import logging
import re
import time
import traceback
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shoal.errors import DataError, EmbeddingError
from shoal.text import endpoint
from shoal.text.endpoint import Endpoint
from shoal.text.open import open_embedder

from .embedders import KEY, Plan, number

TEXTS = ["one", "two", "three"]
TRUE = np.array([number(t) for t in TEXTS], np.float32)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client meant to sleep; it does not."""
    seconds: list[float] = []
    monkeypatch.setattr(endpoint, "sleep", seconds.append)
    return seconds


def client(server: Plan, **settings: Any) -> Endpoint:
    return Endpoint(server.url, "small", **settings)


def test_texts_go_out_and_vectors_come_back_in_the_order_of_the_texts(server: Plan) -> None:
    server.backwards = True
    found = client(server).embed(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, TRUE)
    assert server.asked == [{"path": "/v1/embeddings", "model": "small", "input": TEXTS}]
    assert "authorization" not in server.headers[0]


def test_a_dimension_is_asked_of_the_server_and_belongs_to_the_name(server: Plan) -> None:
    made = open_embedder(f"{server.url}/#small", dimension=2)
    made.embed(TEXTS)
    assert server.asked[0]["dimensions"] == 2
    assert made.name == f"{server.url}#small[:2]"


def test_a_server_that_is_busy_is_asked_again_when_it_says(
    server: Plan, pauses: list[float]
) -> None:
    server.answers = [(429, {"Retry-After": "7"}, {}), (503, {"Retry-After": "2.5"}, b"")]
    notes: list[str] = []
    np.testing.assert_array_equal(client(server).embed(TEXTS, notes.append), TRUE)
    assert pauses == [7, 2.5]
    assert notes[0] == "HTTP 429, waiting 7 s"


def test_retry_after_may_be_a_date(server: Plan, pauses: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    server.answers = [(503, {"Retry-After": date}, {})]
    client(server).embed(TEXTS)
    assert 25 < pauses[0] <= 30


def test_pauses_double_with_jitter_up_to_a_minute(server: Plan, pauses: list[float]) -> None:
    server.answers = [(500, {}, {"error": {"message": "boom"}})] * 9
    np.testing.assert_array_equal(client(server, retries=9).embed(TEXTS), TRUE)
    planned = [min(60, 0.5 * 2**n) for n in range(9)]
    ratios = np.array(pauses) / planned
    assert ((ratios >= 0.5) & (ratios <= 1.5)).all()
    assert len(set(ratios)) > 1


def test_it_gives_up_after_the_last_attempt_and_says_what_the_server_said(
    server: Plan, pauses: list[float]
) -> None:
    server.answers = [(500, {}, {"error": {"message": "out of\nmemory"}})] * 3
    with pytest.raises(EmbeddingError, match=r"HTTP 500: out of memory \(attempts: 3\)"):
        client(server, retries=2).embed(TEXTS)
    assert len(pauses) == 2


def test_silence_is_another_attempt_and_then_an_error(server: Plan, pauses: list[float]) -> None:
    server.silent = 1
    np.testing.assert_array_equal(client(server, timeout=0.2).embed(TEXTS), TRUE)
    server.silent = 2
    with pytest.raises(EmbeddingError, match=r"silent for 0.2 s \(attempts: 2\)"):
        client(server, timeout=0.2, retries=1).embed(TEXTS)


def test_nobody_there_is_an_error_that_names_the_address(pauses: list[float]) -> None:
    with pytest.raises(EmbeddingError, match=r"http://127.0.0.1:9/v1: no connection"):
        Endpoint("http://127.0.0.1:9/v1", "m", retries=1).embed(TEXTS)


@pytest.mark.parametrize(
    ("code", "headers", "answer", "complaint"),
    [
        (400, {}, {"error": {"message": "input too long"}}, "HTTP 400: input too long"),
        (401, {}, {"detail": "no"}, "HTTP 401: no; the key of OPENAI_API_KEY was not sent"),
        (404, {}, b"<html>", "HTTP 404; is .*/v1/embeddings the address, and 'small' its model"),
        (429, {}, {"error": {"code": "insufficient_quota", "message": "pay"}}, "HTTP 429: pay"),
        (429, {"Retry-After": "86400"}, {}, "left alone for 86,400 s"),
        (307, {"Location": "http://elsewhere/"}, b"", "give the address that it redirects to"),
    ],
)
def test_a_refusal_is_not_tried_again(
    server: Plan, pauses: list[float], code: int, headers: dict[str, str], answer: Any,
    complaint: str,
) -> None:  # fmt: skip
    server.answers = [(code, headers, answer)]
    with pytest.raises(EmbeddingError, match=complaint):
        client(server).embed(TEXTS)
    assert pauses == []
    assert len(server.asked) == 1


def rows(*vectors: Any, at: Callable[[int], Any] = int) -> dict[str, Any]:
    return {"data": [{"index": at(i), "embedding": v} for i, v in enumerate(vectors)]}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (rows([1.0], [2.0]), "asked for 3 vectors, got 2"),
        (rows([1.0], [2.0], [3.0], [4.0]), "asked for 3 vectors, got 4"),
        (rows([1.0], [2.0], [3.0], at=lambda _: 1), "got 3 or some twice"),
        (rows([1.0, 2.0], [2.0], [3.0, 4.0]), r"different lengths \(1 to 2 numbers\)"),
        (rows([], [], []), "different lengths"),
        (rows([1.0], ["x"], [3.0]), "no number"),
        (rows([1.0], [None], [3.0]), "NaN or infinite"),
        (b'{"data": [{"index": 0, "emb', "no list of embeddings"),
        (b"<html>busy</html>", "no list of embeddings"),
        ({"object": "list"}, "no list of embeddings"),
        ([1, 2, 3], "no list of embeddings"),
        (b'{"data": [{"index": 1e999, "embedding": [1]}]}', "no list of embeddings"),
        (rows([1.0], [2.0], [3.0], at=lambda i: i + 0.5), "no list of embeddings"),
        (rows([1.0], [2.0], [3.0], at=lambda i: i > 0), "no list of embeddings"),
        (b"[" * 100_000, "no list of embeddings"),
        (b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no list of embeddings"),
        (rows([1.0], [10**400], [3.0]), "no number"),
        (rows([1.0], ["2"], [3.0]), "no number"),
        (rows([1.0], [True], [3.0]), "no number"),
        (rows([[1.0]], [[2.0]], [[3.0]]), "not a float32 row for each"),
        (b'{"data": [' + b" " * 3_000_000, "longer than 3 vectors can be"),
        (b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1e99]},'
         b' {"index": 2, "embedding": [1]}]}', "NaN or infinite"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_answer_is_one_line(server: Plan, answer: Any, complaint: str) -> None:
    import polars as pl

    import shoal

    server.answers = [(200, {}, answer)]
    frame = pl.DataFrame({"item": [1, 2, 3], "title": TEXTS})
    with pytest.raises(EmbeddingError, match=complaint) as error:
        shoal.embed(frame, template="{title}", embedder=client(server))
    assert "\n" not in str(error.value)


def test_requests_keep_their_distance(
    server: Plan, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(endpoint, "monotonic", lambda: clock[0])
    monkeypatch.setattr(endpoint, "sleep", sleep)
    slow = client(server, requests_per_minute=30)
    slow.embed(TEXTS)
    clock[0] += 0.5
    slow.embed(TEXTS)
    clock[0] += 9
    slow.embed(TEXTS)
    assert pauses == [0, 1.5, 0]


# -- the key --------------------------------------------------------------------------------


def test_the_key_is_sent_from_the_variable_that_was_named(
    server: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    client(server).embed(TEXTS)
    monkeypatch.setenv("MY_KEY", "another")
    client(server, key_variable="MY_KEY").embed(TEXTS)
    sent = [headers["authorization"] for headers in server.headers]
    assert sent == [f"Bearer {KEY}", "Bearer another"]


def test_a_key_that_nobody_named_does_not_cross_a_network_in_the_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for url, sent in (
        ("http://gpu.example/v1", False),
        ("https://gpu.example/v1", True),
        ("http://localhost:8000/v1", True),
    ):
        assert ("Authorization" in Endpoint(url, "m")._headers()) == sent
    named = Endpoint("http://gpu.example/v1", "m", key_variable="OPENAI_API_KEY")
    assert "Authorization" in named._headers()


@pytest.mark.parametrize(
    "answer",
    [
        (401, {}, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
        (500, {}, {"error": {"message": f"cannot read {KEY}"}}),
        (200, {}, {"data": KEY}),
        (307, {"Location": f"http://elsewhere/?key={KEY}"}, {"message": KEY}),
    ],
)
def test_the_key_is_in_no_message_no_traceback_no_log_and_no_name(
    server: Plan, pauses: list[float], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], answer: Any,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.answers = [answer] * 2
    made = client(server, retries=1)
    notes: list[str] = []
    with pytest.raises(EmbeddingError) as error:
        made.embed(TEXTS, notes.append)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    said = "".join(traceback.format_exception(error.value))
    said += repr(made) + made.name + repr(vars(made)) + "".join(notes)
    said += caplog.text + "".join(capsys.readouterr())
    assert KEY not in said


def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(
    server: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX: y")
    with pytest.raises(EmbeddingError, match="key in OPENAI_API_KEY holds a blank") as error:
        client(server)
    assert KEY not in "".join(traceback.format_exception(error.value))
    with pytest.raises(EmbeddingError, match=r"variable NO_SUCH_KEY, .* is not set"):
        client(server, key_variable="NO_SUCH_KEY")


# -- what a person may write ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("http://localhost/v1", "name the model as well, as in http://localhost/v1#MODEL"),
        ("https://me:secret@host/v1#m", "https://host: write the address without user, key"),
        ("https://host/v1?key=secret#m", "https://host: write the address without user, key"),
        ("http://#m", "reads https://HOST/v1"),
        ("http://host:port/v1#m", "reads https://HOST/v1"),
        ("gpt", "no such embedder 'gpt': write tfidf, sentence-transformers:"),
    ],
)
def test_an_address_that_cannot_be_right_is_one_line(spec: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint) as error:
        open_embedder(spec)
    assert "secret" not in str(error.value)


def test_settings_are_those_of_the_embedder_and_above_zero() -> None:
    with pytest.raises(DataError, match=r"tfidf has no setting 'timeout'; it has: dimension"):
        open_embedder("tfidf", timeout=5.0)
    for name in ("dimension", "batch_size", "timeout", "requests_per_minute"):
        with pytest.raises(DataError, match=f"{name}=0"):
            open_embedder("http://localhost/v1#m", **{name: 0})
    assert re.fullmatch(r"tfidf\(dimension=9, seed=0\)", open_embedder("tfidf", dimension=9).name)


def test_an_answer_is_read_no_further_than_what_was_asked_for_can_be(server: Plan) -> None:
    """300 MB announced and sent; one text has a vector of 8,192 numbers of 32 bytes at most."""
    server.answers = [(200, {}, b" " * 300_000_000)]
    made = client(server)
    tracemalloc.start()
    with pytest.raises(EmbeddingError, match=r"1 vectors can be \(1,310,720 bytes\)"):
        made.embed(["one"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_long_vector_that_was_asked_for_is_read(server: Plan) -> None:
    """100,000 numbers are more than the limit for a server that was asked for no dimension."""
    numbers = (np.random.default_rng(0).normal(size=100_000) / 3).tolist()
    server.answers = [(200, {}, rows(numbers))] * 2
    found = client(server, dimension=100_000).embed(["one"])
    np.testing.assert_array_equal(found, np.array([numbers], np.float32))
    with pytest.raises(EmbeddingError, match="longer than 1 vectors can be"):
        client(server).embed(["one"])


def test_an_answer_that_ends_early_is_asked_for_again(server: Plan, pauses: list[float]) -> None:
    server.answers = [(200, {"Content-Length": "99999", "Connection": "close"}, b'{"data"')]
    np.testing.assert_array_equal(client(server, timeout=0.5).embed(TEXTS), TRUE)
    assert len(server.asked) == 2


def test_what_a_server_says_does_not_control_the_terminal(server: Plan) -> None:
    server.answers = [(400, {}, {"error": {"message": "no\x1b[2J\x07 way"}})] * 2
    server.answers[1] = (400, {}, b'{"error": ' + b"[" * 60_000)
    with pytest.raises(EmbeddingError, match=r"HTTP 400: no \[2J way"):
        client(server).embed(TEXTS)
    with pytest.raises(EmbeddingError, match=r"HTTP 400$"):
        client(server).embed(TEXTS)


def test_a_pause_that_is_no_number_of_seconds(server: Plan, pauses: list[float]) -> None:
    for pause in ("Mon, 01 Jan 0001 00:00:00 GMT", "nonsense"):
        server.answers = [(429, {"Retry-After": pause}, {})]
        np.testing.assert_array_equal(client(server, retries=1).embed(TEXTS), TRUE)
    server.answers = [(429, {"Retry-After": "9" * 400}, {})]
    with pytest.raises(EmbeddingError, match="left alone"):
        client(server, retries=1).embed(TEXTS)
