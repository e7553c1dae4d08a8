"""``shoal evaluate``: every split, given files, values per user."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("split", ["strong", "weak", "leave-last", "time"])
def test_evaluate_every_split(ratings: Path, shoal_command: Shoal, split: str) -> None:
    code, text, err = shoal_command(
        *("evaluate", ratings, "--model", "item-knn", "--split", split, "--json"),
        *("--metrics", "ndcg@10,recall@5:tail,coverage@10", "--test-size", 0.2),
    )
    if split == "time":  # users come one after the other: none has a past and a future
        assert code == 2
        assert "history" in json.loads(text)["error"]
        return
    assert code == 0, err
    found = json.loads(text)
    assert set(found["metrics"]) == {"ndcg@10", "recall@5:tail", "coverage@10"}
    assert 0 < found["metrics"]["ndcg@10"]["mean"] <= 1
    assert found["definitions"]["ndcg@10"].startswith("Σ hit(r ≤ k)/log2(r+1)")


def test_evaluate_given_files_and_values_per_user(ratings: Path, shoal_command: Shoal) -> None:
    frame = pl.read_csv(ratings)
    last = pl.int_range(pl.len()).over("userId") < 2
    frame.filter(~last).write_parquet(ratings.parent / "train.parquet")
    frame.filter(last).write_parquet(ratings.parent / "test.parquet")
    per_user = ratings.parent / "per_user.parquet"
    code, text, _ = shoal_command(
        *("evaluate", "--train", ratings.parent / "train.parquet"),
        *("--test", ratings.parent / "test.parquet", "--model", "ease", "--set", "l2=10"),
        *("--metrics", "recall_full@5", "--json", "--per-user", per_user),
    )
    assert code == 0
    found = json.loads(text)["metrics"]["recall_full@5"]
    assert found["users"] == 120
    assert pl.read_parquet(per_user)["recall_full@5"].mean() == pytest.approx(found["mean"])
