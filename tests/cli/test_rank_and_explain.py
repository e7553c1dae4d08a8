"""``shoal complement``, ``rank`` and ``explain``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


def test_complement(model: Path, shoal_command: Shoal) -> None:
    command = ("complement", model, "--items", "105,103", "-k", 4)
    code, text, err = shoal_command(*command, "--exclude", "104", "--because", "--json")
    assert code == 0, err
    rows = json.loads(text)["items"]
    assert len(rows) == 4
    assert all(row["id"] >= 100 for row in rows)
    assert not {103, 104, 105} & {row["id"] for row in rows}
    assert all({w["id"] for w in row["because"]} == {103, 105} for row in rows)
    for row in rows:
        assert sum(w["contribution"] for w in row["because"]) == pytest.approx(row["score"])
    code, text, _ = shoal_command(*command, "--filter", "title == 'Film 28'")
    assert code == 0
    assert "Film 28 [108]" in text
    assert "Film 27" not in text


def test_rank(model: Path, shoal_command: Shoal) -> None:
    candidates = ("--candidates", "3,105,nope,104,3")
    code, text, err = shoal_command("rank", model, "--history", "104,103", *candidates, "--json")
    assert code == 0, err
    found = json.loads(text)
    assert {row["id"] for row in found["items"]} == {3, 104, 105}
    assert found["items"][-1]["id"] == 3  # of the other circle
    assert found["unranked"] == ["nope"]
    code, text, _ = shoal_command("rank", model, "--history", "104,103", *candidates)
    assert code == 0
    assert "unknown, not ranked: nope" in text


def test_rank_and_explain_read_a_user_of_a_log(
    model: Path, ratings: Path, shoal_command: Shoal
) -> None:
    frame = pl.read_csv(ratings).filter(pl.col("userId") == "u001")
    own = ("--history", ",".join(map(str, frame["movieId"].to_list())))
    of_log = ("--log", ratings, "--user", "u001")
    for command in (("rank", model, "--candidates", "3,105,104"), ("explain", model, "105")):
        answers = [shoal_command(*command, *history, "--json") for history in (own, of_log)]
        assert [a[0] for a in answers] == [0, 0], answers
        assert json.loads(answers[0][1]) == json.loads(answers[1][1])
    assert shoal_command("rank", model, "--log", ratings, "--candidates", "3")[0] == 2
    assert shoal_command("explain", model, "105", *own, *of_log)[0] == 2
    code, _, err = shoal_command("explain", model, "105", *own, "--min-value", 4)
    assert code == 2
    assert "--min-value" in err


def test_explain(model: Path, shoal_command: Shoal) -> None:
    command = ("explain", model, "105", "--history", "104,3,103,nope")
    code, text, err = shoal_command(*command, "--json")
    assert code == 0, err
    found = json.loads(text)
    amounts = {row["id"]: row["contribution"] for row in found["contributions"]}
    assert set(amounts) == {3, 103, 104}
    assert sum(amounts.values()) == pytest.approx(found["score"], rel=1e-5)
    assert found["ranked"] == 37  # of 40, without the three of the history
    assert 1 <= found["rank"] <= 17  # before the items of the other circle
    assert (found["exact"], found["seen"], found["unknown"]) == (True, False, ["nope"])
    assert found["attributes"]["title"] == "Film 25"
    code, text, _ = shoal_command(*command)
    assert code == 0
    assert "Film 25 [105]" in text
    assert "rank " in text
    code, _, err = shoal_command("explain", model, "nope", "--history", "104")
    assert code == 2
    assert "not in the model" in err
