"""The table of a comparison: whatever the width, no number is cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.experiments.comparison.leaderboard import leaderboard
from shoal.experiments.text_table import table_lines

METRICS = ("ndcg@100", "ndcg@100:tail", "precision@5", "hit_rate@5", "map@5", "mrr@5", "recall@20")


def entries(n_models: int) -> list[Any]:
    return [
        SimpleNamespace(
            tied=m == 1,
            fit_seconds=1.5,
            model_bytes=2000,
            evaluation=SimpleNamespace(
                model=f"model-{m}",
                scores={
                    name: SimpleNamespace(mean=m / 10 + i / 1000, se=0.0123 + i / 1000)
                    for i, name in enumerate(METRICS)
                },
            ),
        )
        for m in range(n_models)
    ]


@pytest.mark.parametrize("width", [None, 120, 80, 60, 40, 32])
@pytest.mark.parametrize("n_models", [1, 3, 8])
def test_every_number_is_there_in_full(width: int | None, n_models: int) -> None:
    lines = leaderboard(entries(n_models), width)
    text = "\n".join(lines)
    assert "…" not in text
    for m in range(n_models):
        assert f"model-{m}" in text
        for i in range(len(METRICS)):
            assert f"{m / 10 + i / 1000:.4f}" in text
    if width is None:
        assert text.count("±") == n_models * len(METRICS)
    else:
        assert max(map(len, lines)) <= width


def test_a_table_that_is_too_wide_becomes_a_list() -> None:
    rows = [["model", "fit", "size"], ["a", "1 s", "2 MB"], ["bb", "", "3 MB"]]
    assert table_lines(rows) == ["model  fit  size", "a      1 s  2 MB", "bb          3 MB"]
    assert table_lines(rows, 12) == ["a", "  fit 1 s", "  size 2 MB", "bb", "  size 3 MB"]


def test_a_comparison_prints_as_a_table() -> None:
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(60) for i in rng.choice(20, 6, replace=False)]
    log = shoal.read(pl.DataFrame({"user": [u for u, _ in pairs], "item": [i for _, i in pairs]}))
    found = shoal.compare(shoal.split(log, "strong"), ["popularity", "ease"], metrics=["ndcg@5"])
    text = str(found)
    assert text.splitlines()[0].startswith("strong test, seed 0")
    assert {line.split()[0] for line in text.splitlines()[3:]} >= {"popularity", "ease"}
    for entry in found.entries:
        assert f"{entry.evaluation.scores['ndcg@5'].mean:.4f}" in text
    assert text.endswith(found.verdict)
