"""What a leaderboard says of versions: intervals, what may be compared, data, costs and ages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.artifact import Store, Version
from shoal.service.leaderboard import leaderboard
from shoal.service.words import ago

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def version(
    name: str,
    scores: dict[str, tuple[float | None, float | None]] | None = None,
    *,
    protocol: str = "strong test, seed 0",
    users: int = 100,
    fingerprint: str = "a" * 64,
    more: dict[str, Any] | None = None,
    **fields: Any,
) -> Version:
    metrics: dict[str, Any] = dict(more or {})
    if scores is not None:
        metrics |= {
            "protocol": protocol,
            "users": users,
            "metrics": {n: {"mean": m, "se": se, "users": users} for n, (m, se) in scores.items()},
        }
    values = {"created": "2026-11-26T09:00:00+00:00", "model": "ease", "parameters": {}, **fields}
    return Version(
        name, metrics=metrics, bytes=1_500_000, n_items=10, fingerprint=fingerprint, **values
    )


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    from scipy import stats

    table = leaderboard([version("v1", {"ndcg@20": (0.3, 0.01)})], {}, NOW)
    cell = table.rows[0].cells["ndcg@20"]
    low, high = stats.norm.interval(0.95, loc=0.3, scale=0.01)
    assert (cell.low, cell.high) == (pytest.approx(low, abs=1e-7), pytest.approx(high, abs=1e-7))
    assert (cell.text, cell.margin) == ("0.3000", "± 0.0196")


def test_the_best_is_called_so_among_those_measured_alike() -> None:
    table = leaderboard(
        [
            version("v5", {"ndcg@20": (0.9, 0.01)}, protocol="strong test, seed 1"),
            version("v4", {"ndcg@20": (0.8, 0.01)}, fingerprint="b" * 64),
            version("v3", {"ndcg@20": (0.7, 0.01)}, users=99),
            version("v2", {"ndcg@20": (0.3, 0.01), "coverage@20": (0.2, None)}),
            version("v1", {"ndcg@20": (0.2, 0.01), "coverage@20": (0.6, None)}),
            version("v0"),
        ],
        {},
        NOW,
    )
    best = {(r.version.name, n) for r in table.rows for n, cell in r.cells.items() if cell.best}
    assert best == {("v2", "ndcg@20"), ("v1", "coverage@20")}
    assert [row.group for row in table.rows] == ["A", "B", "C", "D", "D", ""]
    assert [(g.letter, g.users, g.n_versions) for g in table.groups] == [
        ("A", 100, 1), ("B", 100, 1), ("C", 99, 1), ("D", 100, 2),
    ]  # fmt: skip
    assert table.compares
    assert table.same_data is False
    assert [row.data and row.data.letter for row in table.rows] == ["A", "B", "A", "A", "A", "A"]


def test_what_cannot_be_compared_has_no_best() -> None:
    alone = leaderboard([version("v1", {"ndcg@20": (0.9, 0.1)})], {}, NOW)
    assert not alone.compares
    assert not alone.rows[0].cells["ndcg@20"].best
    alike = leaderboard([version(n, {"ndcg@20": (0.9, 0.1)}) for n in ("v2", "v1")], {}, NOW)
    assert alike.compares
    assert not any(row.cells["ndcg@20"].best for row in alike.rows)
    nothing_known = leaderboard(
        [version(name, {"ndcg@20": (0.9, 0.1)}, fingerprint="") for name in ("v2", "v1")], {}, NOW
    )
    assert not nothing_known.compares
    assert nothing_known.same_data is None
    too_good = version("v2", {"ndcg@20": (0.99, 0.1)}, more={"fitted_on_other_data": True})
    table = leaderboard([too_good, version("v1", {"ndcg@20": (0.9, 0.1)})], {}, NOW)
    assert not any(row.cells["ndcg@20"].best for row in table.rows)
    assert "too good" in table.rows[0].warning


def test_errors_are_better_where_they_are_small() -> None:
    def rated(name: str, rmse: float, gini: float, popularity: float) -> Version:
        scores: dict[str, tuple[float | None, float | None]] = {
            "gini@20": (gini, None), "popularity@20": (popularity, 0.1), "rmse": (rmse, 0.01),
        }  # fmt: skip
        return version(name, scores)

    table = leaderboard([rated("v2", 0.9, 0.8, 10), rated("v1", 0.8, 0.9, 20)], {}, NOW)
    best = {(r.version.name, n) for r in table.rows for n, cell in r.cells.items() if cell.best}
    assert best == {("v1", "rmse"), ("v2", "gini@20")}  # popularity is neither good nor bad
    assert table.metrics[0] == "rmse"


def test_columns_are_those_that_most_versions_have_and_not_too_many() -> None:
    many = {f"precision@{k}": (0.1, 0.01) for k in range(1, 9)}
    table = leaderboard(
        [
            version("v2", {"coverage@20": (0.5, None), "ndcg@20:tail": (0.1, 0.01),
                           "recall@20": (0.2, 0.01), "ndcg@20": (0.3, 0.01)}),
            version("v1", {"ndcg@20": (0.3, 0.01), "recall@20": (0.2, 0.01), **many}),
        ],
        {},
        NOW,
    )  # fmt: skip
    assert table.metrics[:2] == ["ndcg@20", "recall@20"]
    assert len(table.metrics) == 6


def test_costs_data_freshness_and_the_comparison_of_a_refresh() -> None:
    told = {
        "training": {"seconds": 90.0, "peak_bytes": 2_000_000_000, "users": 7, "interactions": 70},
        "refresh": {"trained_until": 1795600000.0, "users": 8, "interactions": 80},
        "compared_with": {"what": "the live version", "difference": 0.0123, "se": 0.001},
    }
    row = leaderboard([version("v1", more=told)], {}, NOW).rows[0]
    assert (row.size, row.fitted_in, row.peak) == ("1.5 MB", "1.5 min", "2.0 GB")
    assert row.data is not None
    assert (row.data.users, row.data.interactions) == (7, 70)
    assert row.data.newest == "2026-11-25 09:46"  # date -u -d @1795600000 says 09:46:40
    assert row.age == "3 hours ago"
    assert row.beside_live == "+0.0123 ± 0.0020 beside the live version"


@pytest.mark.parametrize(
    "damaged",
    [
        {"metrics": [1, 2]},
        {"metrics": {"ndcg@20": 0.3, "recall@20": {"mean": None}, "map@20": {"mean": True}}},
        {"metrics": {"ndcg@20": {"mean": float("inf"), "se": 1}}},
        {"training": 7, "refresh": None, "compared_with": {"difference": "much"}},
        {"training": {"seconds": -1, "users": 0.5, "interactions": True, "trained_until": 12.0}},
    ],
)
def test_a_manifest_from_elsewhere_may_say_anything(damaged: dict[str, Any]) -> None:
    table = leaderboard([version("v1", more=damaged)], {}, NOW)
    row = table.rows[0]
    assert row.cells == {}
    assert (row.fitted_in, row.beside_live) == ("", "")
    assert table.groups == []


def test_interactions_and_settings_of_real_versions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(u, i) for u in range(40) for i in rng.choice(12, 5, replace=False)]
    log = shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"))
    store = Store(tmp_path / "store", create=True)
    run = shoal.Run(threads=1)
    first = store.publish(shoal.EASE(l2=17.5).fit(log, None, run)).name
    second = store.publish(shoal.EASE().fit(log, None, run)).name
    broken = store.publish(shoal.EASE().fit(log, None, run)).name
    (store.path / broken / "arrays.safetensors").unlink()
    folders = {name: store.path / name for name in (first, second, broken)}
    table = leaderboard(store.versions(), folders)
    by_name = {row.version.name: row for row in table.rows}
    data = by_name[first].data
    assert data is not None
    assert (data.interactions, data.users) == (200, None)  # 40 users with 5 items each
    assert by_name[first].settings == "l2 17.5"
    assert by_name[second].settings == "settings by default"
    assert by_name[broken].data is None
    assert "arrays.safetensors" in by_name[broken].version.error
    assert table.same_data  # of those that can be read


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"), (59, "just now"), (60, "1 minute ago"), (3599, "59 minutes ago"),
        (7200, "2 hours ago"), (47 * 3600, "47 hours ago"), (49 * 3600, "2 days ago"),
        (90 * 86400, "2 months ago"), (4 * 365.25 * 86400, "4 years ago"),
    ],
)  # fmt: skip
def test_ages_in_words(seconds: float, words: str) -> None:
    assert ago(seconds) == words
