"""The tuning benchmark reads its results as its page says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.results import Results
from benchmarks.tuning import page, rungs


def way(*trials: tuple[float, float, str]) -> dict[str, Any]:
    """A result with trials of (seconds, score, state)."""
    rows = [{"at": at, "cpu": at / 2, "score": score, "state": s} for at, score, s in trials]
    return {
        "trials": rows, "seconds": trials[-1][0], "cpu_seconds": trials[-1][0] / 2, "minutes": 1.0,
        "users": 1, "items": 1, "interactions": 1, "validation_users": 1, "peak_bytes": 1e9,
        "load_before": 0.1, "load_after": 0.2, "threads": 1, "cores": 1,
    }  # fmt: skip


def test_only_trials_that_count_make_the_curve() -> None:
    row = way((1, 0.1, "complete"), (2, 0.9, "pruned"), (3, 0.3, "complete"), (4, 0.2, "complete"))
    assert page.curve(row) == [(1, 0.1), (3, 0.3)]
    assert page.curve(row, "cpu") == [(0.5, 0.1), (1.5, 0.3)]
    assert [page.score_at(row, seconds) for seconds in (0.5, 2, 3)] == [None, 0.1, 0.3]
    assert page.time_to(row, 0.25) == 3
    assert page.time_to(row, 0.5) is None


def test_the_page_compares_seed_by_seed(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    results.save("ml-1m-random-0", way((10, 0.1, "complete"), (60, 0.3, "complete")))
    results.save("ml-1m-random-1", way((10, 0.1, "complete"), (60, 0.4, "complete")))
    results.save("ml-1m-shoal-0", way((12, 0.35, "complete")))
    results.save("ml-1m-shoal-1", way((12, 0.35, "complete")))
    text = page.render(results)
    first, second = (line for line in text.splitlines() if line.startswith("| random draw, a fit")
                     and line.count("|") == 10)  # fmt: skip
    assert "| 0 | 0.3000 | 60.0 | 12.0 | 5.00 |" in first
    assert "| 1 | 0.4000 | 60.0 | not reached |" in second
    assert "met in 1 of 2 comparisons" in text
    assert "Not yet measured: Optuna's TPE" in text


def test_a_replay_stops_who_is_behind_at_a_rung() -> None:
    curves = [[0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.9], [0.0, 0.1, 0.1, 0.5]]
    half = rungs.Halving(2, 2, math.floor)  # after 2 of 4 epochs, one of two and one of three
    # orders 0 1 2 and 0 2 1: the third curve is stopped after 2 epochs in both, no other
    found = rungs.replay(curves, 4, half)
    assert found["epochs"] == pytest.approx(10 / 12)
    assert found["lost"] == 0
    everyone = rungs.replay(curves, 4, None)
    assert (everyone["epochs"], everyone["lost"]) == (1, 0)
