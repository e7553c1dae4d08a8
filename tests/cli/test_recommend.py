"""``shoal recommend``: to histories, to users of a log, with reasons and rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


def test_recommend_stays_within_the_circle_and_gives_reasons(
    model: Path, shoal_command: Shoal
) -> None:
    code, text, _ = shoal_command(
        "recommend", model, "--history", "1,2,nope", "-k", 4, "--json", "--because"
    )
    assert code == 0
    answer = json.loads(text)
    assert len(answer["items"]) == 4
    assert all(row["id"] < 100 for row in answer["items"])
    assert not {1, 2} & {row["id"] for row in answer["items"]}
    assert answer["unknown"] == ["nope"]
    first = answer["items"][0]
    assert first["score"] == pytest.approx(
        sum(b["contribution"] for b in first["because"]), rel=1e-5
    )
    code, text, _ = shoal_command("recommend", model, "--history", "1,2,nope", "--because")
    assert code == 0
    assert "Film " in text
    assert "unknown, left out: nope" in text


def test_recommend_rules(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    def ids(*arguments: object) -> list[int]:
        code, text, err = shoal_command("recommend", model, "--json", *arguments)
        assert code == 0, err
        return [row["id"] for row in json.loads(text)["items"]]

    best = ids("--history", "1,2", "-k", 3)
    assert best[0] not in ids("--history", "1,2", "-k", 3, "--exclude", best[0])
    assert set(ids("--history", "1,2", "-k", 5, "--only", "5,6,105")) == {5, 6, 105}
    assert {1, 2} & set(ids("--history", "1,2", "-k", 40, "--include-seen"))
    assert len(ids("--log", ratings, "--user", "u001", "-k", 2)) == 2


def test_recommend_for_a_whole_log(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "recs.parquet"
    code, text, _ = shoal_command("recommend", model, "--log", ratings, "-k", 3, "--out", out)
    assert code == 0
    assert "360 recommendations for 120 users" in text
    frame = pl.read_parquet(out)
    assert frame.columns == ["user", "rank", "item", "score"]
    odd = frame.filter(pl.col("user").str.ends_with("1"))
    assert (odd["item"] >= 100).all()
    code, text, _ = shoal_command("recommend", model, "--log", ratings, "-k", 1)
    assert text.splitlines()[0] == "user,rank,item,score"


def test_a_log_is_read_as_the_model_s_own_was(ratings: Path, shoal_command: Shoal) -> None:
    folder = ratings.parent / "liked"
    code, _, err = shoal_command("train", ratings, "--min-value", 5, "--out", folder)
    assert code == 0, err
    code, text, _ = shoal_command("recommend", folder, "--log", ratings, "--user", "u000", "-k", 3)
    assert code == 0
    assert "--min-value 5, as when ease was trained" in text
    given = ("recommend", folder, "--log", ratings, "--user", "u000", "-k", 3, "--json")
    plain, told = shoal_command(*given)[1], shoal_command(*given, "--min-value", 5)[1]
    assert plain == told
    assert plain != shoal_command(*given, "--min-value", 1)[1]


def test_ids_with_commas_stand_in_quotes(tmp_path: Path, shoal_command: Shoal) -> None:
    frame = pl.DataFrame({"user": [1, 1, 2, 2, 3, 3], "item": ["a, b", "c", "a, b", "d", "c", "d"]})
    frame.write_parquet(tmp_path / "log.parquet")
    shoal_command("train", tmp_path / "log.parquet", "--out", tmp_path / "m")
    code, text, err = shoal_command(
        "recommend", tmp_path / "m", "--history", 'c, "a, b"', "-k", 1, "--json"
    )
    assert code == 0, err
    assert json.loads(text)["items"][0]["id"] == "d"
