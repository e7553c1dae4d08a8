"""``shoal plan`` and ``shoal generate``, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from shoal.cli.app import program
from shoal.errors import DataError, ModelError
from shoal.models.registry import models

COUNTS = ["--users", "1000", "--items", "200", "--interactions", "10000"]


def call(*words: str) -> Any:
    return CliRunner().invoke(program(), list(words), catch_exceptions=False)


def test_generate_then_plan_then_train(tmp_path: Path) -> None:
    path = tmp_path / "big.parquet"
    made = call("generate", *COUNTS, "--seed", "3", "--out", str(path), "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["bytes"] == path.stat().st_size
    assert pl.read_parquet(path).height == 10_000
    found = call("plan", str(path), "--models", "ease,popularity", "--json")
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    assert [m["model"] for m in answer["models"]] == ["popularity", "ease"]
    assert (answer["users"], answer["items"], answer["interactions"]) == (1000, 200, 10_000)
    done = call("train", str(path), "--model", "ease", "--out", str(tmp_path / "model"), "--json")
    assert json.loads(done.stdout)["bytes_estimated"] == answer["models"][1]["bytes_to_fit"]


def test_plan_of_counts_tells_what_is_refused_and_why() -> None:
    counts = ["--users", "2000000", "--items", "1000000", "--interactions", "100000000"]
    found = call("plan", *counts, "--models", "ease,popularity", "--memory", "1GB")
    assert found.exit_code == 0, found.output
    assert "2,000,000 users × 1,000,000 items" in found.stdout
    assert "ease on 1,000,000 items needs 4.0 TB, the budget is 1.0 GB" in found.stdout
    assert "log-normal" in found.stdout


def test_plan_takes_groups_and_settings() -> None:
    found = call("plan", *COUNTS, "--models", "fast", "--set", "item-knn.k=3", "--json")
    rows = {m["model"]: m for m in json.loads(found.stdout)["models"]}
    assert set(rows) == {name for name, kind in models().items() if not kind.trained}
    assert rows["item-knn"]["parameters"]["k"] == 3


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (["plan"], DataError, "name a log, or give --users, --items and --interactions"),
        (["plan", "x.csv", "--users", "5"], DataError, "name a log, or give"),
        (["plan", "--users", "5"], DataError, "0 items: give 1 or more"),
        (["plan", *COUNTS, "--models", ","], DataError, "names none"),
        (["plan", *COUNTS, "--models", "easy"], ModelError, "no model is called 'easy'"),
        (["plan", *COUNTS, "--models", "ease", "--set", "l2=3"], DataError, "MODEL.parameter"),
        (["plan", *COUNTS, "--models", "ease", "--set", "ease.l3=3"], ModelError, "l3"),
        (["generate", *COUNTS, "--out", "log.csv"], DataError, "ends in .parquet"),
        (
            ["generate", *COUNTS[:4], "--interactions", "200001", "--out", "a.parquet"],
            DataError, "200,001 interactions are more than",
        ),
    ],
)  # fmt: skip
def test_bad_calls_say_what_is_wrong(words: list[str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call(*words)
