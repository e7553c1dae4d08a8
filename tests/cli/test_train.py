"""``shoal train``: what it says and writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import shoal

Shoal = Callable[..., tuple[int, str, str]]


def test_train_says_what_it_read_and_what_to_type_next(ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "m"
    code, text, _ = shoal_command("train", ratings, "--min-value", 4, "--out", out)
    assert code == 0
    assert "user=userId, item=movieId, value=rating, time=timestamp" in text
    assert "rating below 4" in text
    assert "negative_weights" in text
    assert f"shoal recommend {out}" in text


def test_train_as_json_with_metrics(ratings: Path, shoal_command: Shoal) -> None:
    command = (
        *("train", ratings, "--model", "rdlae", "--set", "xi=0.2,l2=5", "--evaluate"),
        *("--out", ratings.parent / "m", "--json", "--test-size", 0.2),
    )
    code, text, err = shoal_command(*command)
    assert code == 2  # ndcg@100 asks for more items than there are
    assert "smaller k" in json.loads(text)["error"]
    assert err == ""
    assert not (ratings.parent / "m").exists()
    code, text, _ = shoal_command(*command, "--metrics", "ndcg@10")
    assert code == 0
    found = json.loads(text)
    assert found["parameters"]["xi"] == 0.2
    assert found["metrics"]["users"] == 24
    kept = json.loads((ratings.parent / "m" / "manifest.json").read_text())["metrics"]
    assert kept["metrics"] == found["metrics"]["metrics"]


def test_a_model_keeps_what_its_training_took(ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "m"
    code, text, _ = shoal_command("train", ratings, "--model", "ease", "--out", out, "--json")
    assert code == 0
    assert json.loads(text)["metrics"] is None  # what was not asked for is not said
    kept = json.loads((out / "manifest.json").read_text())["metrics"]
    assert set(kept) == {"training"}
    log = shoal.read(ratings)
    training = kept["training"]
    assert (training["users"], training["interactions"]) == (log.n_users, len(log))
    assert 0 < training["seconds"] < 60
    assert 20e6 < training["peak_bytes"] < 100e9  # of a process with numpy in it
    code, text, _ = shoal_command("info", out)
    assert code == 0
    assert "evaluated" not in text


def test_interrupt_exits_with_130_and_leaves_nothing(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.artifact import writing

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_put_in_place", interrupted)
    before = sorted(p.name for p in ratings.parent.iterdir())
    code, _, _ = shoal_command("train", ratings, "--out", ratings.parent / "m")
    assert code == 130
    assert sorted(p.name for p in ratings.parent.iterdir()) == before
