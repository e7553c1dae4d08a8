"""The tables of a comparison: whatever the width, no number is cut."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.experiments.comparison.conclude import conclude
from shoal.experiments.comparison.entry import Entry
from shoal.experiments.comparison.leaderboard import leaderboard
from shoal.experiments.text_table import table_lines
from tests.experiments.comparison.invented import cell

METRICS = ("ndcg@100", "ndcg@100:tail", "precision@5", "hit_rate@5", "map@5", "mrr@5", "recall@20")


def entries(n_models: int) -> tuple[Entry, ...]:
    """Models whose metric i has the mean m / 10 + i / 1000 over two users."""
    cells = [
        cell(
            f"model-{m}",
            {
                name: [m / 10 + i / 1000 - 0.01, m / 10 + i / 1000 + 0.01]
                for i, name in enumerate(METRICS)
            },
            fit_seconds=1.5,
            peak_bytes=123_400_000,
            request_seconds=0.00042,
        )
        for m in range(n_models)
    ]
    return conclude(cells).entries


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
    assert text.count("1.5 s") == text.count("123.4 MB") == text.count("0.42 ms") == n_models
    if width is None:
        assert text.count("±0.0100") == n_models * len(METRICS)
    else:
        assert max(map(len, lines)) <= width


def test_the_default_metrics_of_ten_models_fit_80_columns_with_their_errors() -> None:
    names = ["ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail", "novelty@100"]
    cells = [
        cell(
            f"a-model-{m}", {name: [0.1, 0.2 * m] for name in names}, overall={"coverage@100": 0.5}
        )
        for m in range(10)
    ]
    lines = leaderboard(conclude(cells).entries, 80)
    assert max(map(len, lines)) <= 80
    assert sum(line.count("±") for line in lines) == 60


def test_several_seeds_have_a_line_for_their_spread() -> None:
    cells = [cell("ease", [0.1 * (s + 1), 0.1 * (s + 1)], seed=s) for s in range(3)]
    lines = leaderboard(conclude(cells).entries)
    # the means of the seeds are .1, .2 and .3: their standard deviation is .1
    assert [line.split() for line in lines[2:5]] == [["ease", "0.2000"], ["±0.0000"], ["~0.1000"]]


def test_a_metric_that_counts_nobody_is_a_dash() -> None:
    cells = [cell("ease", {"ndcg@10": [0.1, 0.3], "ndcg@10:tail": [np.nan, np.nan]})]
    lines = leaderboard(conclude(cells).entries)
    assert [line.split() for line in lines[3:5]] == [["ease", "0.2000", "–"], ["±0.1000"]]
    assert "nan" not in "".join(lines)


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
    assert {line.split()[0] for line in text.splitlines()[3:] if line} >= {"popularity", "ease"}
    for entry in found.entries:
        assert f"{entry.evaluation.scores['ndcg@5'].mean:.4f}" in text
    assert text.endswith(found.judgement.lines[-1])
