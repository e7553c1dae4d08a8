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


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_lists_that_shoal_wrote_score_as_their_model(
    ratings: Path, shoal_command: Shoal, ending: str
) -> None:
    folder = ratings.parent
    frame = pl.read_csv(ratings)
    last = pl.int_range(pl.len()).over("userId") < 2
    frame.filter(~last).write_parquet(folder / "train.parquet")
    frame.filter(last).write_parquet(folder / "test.parquet")
    given = ("--train", folder / "train.parquet", "--test", folder / "test.parquet")
    asked = ("--metrics", "recall_full@5,ndcg@10,coverage@5", "--json")
    _, text, _ = shoal_command("evaluate", *given, "--set", "l2=10", *asked)
    expected = json.loads(text)
    lists, model = folder / f"lists.{ending}", folder / "model"
    made = shoal_command(
        *("train", folder / "train.parquet", "--set", "l2=10", "--items", folder / "movies.csv"),
        *("--out", model),
    )
    assert made[0] == 0, made[2]
    where = ("--json",) if ending == "json" else ("--because", "--out", lists)
    code, text, err = shoal_command(
        "recommend", model, "--log", folder / "train.parquet", "-k", 10, *where
    )
    assert code == 0, err
    if ending == "json":
        lists.write_text(text)
    per_user = folder / "per_user.csv"
    code, text, err = shoal_command(
        "evaluate", *given, "--lists", lists, *asked, "--per-user", per_user
    )
    assert code == 0, err
    found = json.loads(text)
    assert found["metrics"] == expected["metrics"]
    assert found["model"] == str(lists)
    assert pl.read_csv(per_user)["ndcg@10"].mean() == pytest.approx(
        expected["metrics"]["ndcg@10"]["mean"]
    )
    code, text, _ = shoal_command("evaluate", *given, "--lists", lists, "--metrics", "ndcg@20")
    assert code == 0
    assert "120 lists with fewer than 20 items" in text


def test_options_that_do_nothing_with_lists_are_refused(
    ratings: Path, shoal_command: Shoal
) -> None:
    for option in (("--model", "ease"), ("--precision", "float32"), ("--vectors", ratings)):
        code, _, err = shoal_command("evaluate", ratings, "--lists", ratings, *option)
        assert code == 2
        assert option[0] in err
        assert "with --lists" in err
    code, _, err = shoal_command("evaluate", ratings, "--list-columns", "user=a")
    assert code == 2
    assert "without --lists" in err
