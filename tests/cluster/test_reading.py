"""A folder of files divided by user, read by many machines: the log that `shoal.read` gives."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shoal
from shoal.cluster.local import LocalExecutor
from shoal.cluster.reading import read_sharded
from shoal.errors import DataError
from shoal.executor import Executor
from tests.cluster.killing import kills
from tests.data.log_helpers import KINDS, OPTIONS, assert_equal_logs, random_log, with_dates

here = LocalExecutor(threads=1)


def bucketed(log: Any, folder: Path, n_buckets: int = 5) -> Path:
    shoal.bucket(log, folder, n_buckets, overwrite=True)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_shards_together_are_the_log(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    log = random_log(11, kind)
    sharded = read_sharded(bucketed(log, tmp_path / "b"), here, **options)
    whole = shoal.read(log, **options)
    assert_equal_logs(sharded.whole(here), whole)
    assert sharded.size == whole.size
    assert sharded.item_counts.tolist() == whole.item_counts.tolist()
    degrees = np.diff(whole.indptr)
    assert sum(size.squares for size in sharded.sizes) == int(degrees @ degrees)


@pytest.mark.parametrize("options", list(OPTIONS.values())[::3], ids=list(OPTIONS)[::3])
def test_both_executors_give_the_same_shards(
    executor: Executor, tmp_path: Path, options: dict[str, Any]
) -> None:
    folder = bucketed(with_dates(random_log(12, "text")), tmp_path / "b", 4)
    if "since" in options:
        options = options | {"since": "2024-02-01", "until": "2024-02-04"}
    mine = read_sharded(folder, executor, **options)
    local = read_sharded(folder, here, **options)
    assert mine.fingerprint == local.fingerprint
    assert mine.sizes == local.sizes
    for handle, other in zip(mine.shards, local.shards, strict=True):
        shard, same = executor.get(handle), here.get(other)
        for name in ("indptr", "indices", "values", "times"):
            a, b = getattr(shard, name), getattr(same, name)
            assert (a is None and b is None) or np.array_equal(a, b)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    n_rows=st.integers(1, 250),
    n_buckets=st.integers(1, 9),
    choice=st.fixed_dictionaries(
        {},
        optional={
            "duplicates": st.sampled_from(["last", "first", "sum"]),
            "min_value": st.sampled_from([0.5, 1, 2.5]),
            "where": st.sampled_from(["event != 'view'", "value > 0.5 and time < 70"]),
            "since": st.integers(0, 60),
            "until": st.integers(50, 99),
            "min_item_users": st.integers(0, 6),
            "min_user_items": st.integers(0, 6),
            "k_core": st.integers(0, 5),
            "events": st.sampled_from([("view",), ("cart", "purchase")]),
        },
    ),
    meaning=st.sampled_from(
        [
            {"values": "keep"},
            {"values": "log1p"},
            {"values": "binary"},
            {"columns": {"value": "none"}},
            {"weights": {"view": 1, "cart": 2.5, "purchase": 7}},
        ]
    ),
    text=st.booleans(),
)
def test_random_logs_under_random_options(
    tmp_path: Path,
    seed: int,
    kind: str,
    n_rows: int,
    n_buckets: int,
    choice: dict[str, Any],
    meaning: dict[str, Any],
    text: bool,
) -> None:
    log: Any = random_log(seed, kind, n_rows)
    if text:
        path = tmp_path / "log.csv"
        log.write_csv(path)
        log = path
    folder = bucketed(log, tmp_path / "b", n_buckets)
    options = choice | meaning
    try:
        whole = shoal.read(log, **options)
    except DataError as error:
        what = str(error).split(":")[-1]
        with pytest.raises(DataError) as raised:
            read_sharded(folder, here, **options)
        assert str(raised.value).split(":")[-1] == what
        return
    sharded = read_sharded(folder, here, **options)
    assert_equal_logs(sharded.whole(here), whole)


def test_ids_of_a_text_file_are_numbers_only_if_those_of_all_files_are(tmp_path: Path) -> None:
    for users in (
        [str(n) for n in range(40)],
        [f"{n}.0" for n in range(40)],
        [*(str(n) for n in range(39)), "007"],
        [*(str(n) for n in range(39)), "9" * 19],
        [*(f"{n}.0" for n in range(39)), "5"],
    ):
        path = tmp_path / "log.csv"
        pl.DataFrame({"user": users, "item": users[::-1]}).write_csv(path)
        whole = shoal.read(path)
        sharded = read_sharded(bucketed(path, tmp_path / "b", 7), here)
        assert_equal_logs(sharded.whole(here), whole)


def test_words_for_missing_ids_are_judged_over_all_files(tmp_path: Path) -> None:
    for others in (["x", "y", "z"], ["1", "2", "3"]):
        log = pl.DataFrame({"user": [*others, "NULL", "\\N"] * 3, "item": list(range(15))})
        folder = bucketed(log, tmp_path / "b", 6)
        options = {"missing": "drop"}
        whole = shoal.read(log, **options)
        sharded = read_sharded(folder, here, **options)
        assert_equal_logs(sharded.whole(here), whole)
        with pytest.raises(DataError, match=r"column 'user' .* is missing in (3|6) of 15 rows"):
            read_sharded(folder, here)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": pl.lit(None, pl.Int64)}, "column 'item' .item. is missing in 300 of 300 rows"),
        ({"value": pl.col("value") - 3}, "is zero or negative in .* first in row"),
    ],
)
def test_rows_that_are_refused_are_named_as_for_one_machine(
    tmp_path: Path, change: dict[str, pl.Expr], message: str
) -> None:
    folder = bucketed(random_log(4).with_columns(**change), tmp_path / "b")
    with pytest.raises(DataError, match=message) as there:
        read_sharded(folder, here)
    with pytest.raises(DataError) as one:
        shoal.read(folder)
    assert str(there.value) == str(one.value)


def test_a_scale_that_is_not_used_is_asked_about(tmp_path: Path) -> None:
    log = random_log(4).select("user", "item", stars_or_so=pl.col("item") % 5)
    folder = bucketed(log, tmp_path / "b")
    with pytest.raises(DataError, match="'stars_or_so' is not used, and looks like a value"):
        read_sharded(folder, here)


def test_dates_are_recognised_over_all_files(tmp_path: Path) -> None:
    log = random_log(4).with_columns(time=pl.format("{}/{}/2024", pl.col("time") % 12 + 1, 5))
    folder = bucketed(log, tmp_path / "b")
    with pytest.raises(DataError, match="none shows whether the day or the month is first"):
        read_sharded(folder, here, values="keep")
    last = log["user"].max()
    date = pl.when(pl.col("user") == last).then(pl.lit("5/13/2024")).otherwise("time")
    log = log.with_columns(time=date)
    sharded = read_sharded(bucketed(log, folder), here, values="keep")
    assert_equal_logs(sharded.whole(here), shoal.read(folder, values="keep"))
    assert sharded.whole(here).times.tolist() == shoal.read(log, values="keep").times.tolist()


def test_a_user_in_two_files_is_refused(executor: Executor, tmp_path: Path) -> None:
    log = random_log(5)
    parts = [log.filter(pl.col("user") % 3 == k) for k in range(3)]
    for k, part in enumerate(parts):
        part.write_parquet(tmp_path / f"part-{k}.parquet")
    whole = shoal.read(log, min_value=1)
    sharded = read_sharded(tmp_path, executor, min_value=1)
    assert_equal_logs(sharded.whole(executor), whole)
    stray = parts[2].filter(pl.col("value") > 1).head(1)
    pl.concat([parts[0], stray]).write_parquet(tmp_path / "part-0.parquet")
    user = stray["user"][0]
    message = rf"user {user} has rows in .*part-0.parquet and in .*part-2.parquet"
    with pytest.raises(DataError, match=message):
        read_sharded(tmp_path, executor, min_value=1)


@pytest.mark.parametrize("cold", [False, True])
def test_items_and_vectors_are_attached(tmp_path: Path, cold: bool) -> None:
    log = random_log(6)
    ids = [*sorted(set(log["item"].to_list()))[::2], 1000, 1007]
    table = pl.DataFrame({"item": ids, "title": [f"title {i}" for i in ids]})
    table.write_parquet(tmp_path / "items.parquet")
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(len(ids), 3)).astype(np.float32)
    pl.DataFrame({"item": ids, "vector": vectors}).write_parquet(tmp_path / "vectors.parquet")
    options: dict[str, Any] = {
        "min_value": 1,
        "items": tmp_path / "items.parquet",
        "vectors": tmp_path / "vectors.parquet",
        "cold_items": cold,
    }
    sharded = read_sharded(bucketed(log, tmp_path / "b"), here, **options)
    whole = shoal.read(log, **options)
    assert_equal_logs(sharded.whole(here), whole)
    assert sharded.item_counts.tolist() == whole.item_counts.tolist()


def test_what_is_no_bucketed_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    random_log(1).write_parquet(path)
    with pytest.raises(DataError, match="Write such a folder with shoal bucket"):
        read_sharded(path, here)


def test_the_median_of_divided_values_is_that_of_all(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for n_rows in (300, 301):
        log = random_log(2, n_rows=n_rows).unique(["user", "item"])
        counts = np.exp(generator.normal(0, 3, len(log))).astype(np.float32) + 1e-3
        log = log.with_columns(value=pl.Series(counts))
        sharded = read_sharded(bucketed(log, tmp_path / "b"), here, values="keep")
        assert any("times their median" in note for note in sharded.notes)
        assert sharded.notes == shoal.read(log, values="keep").notes


class Watched(LocalExecutor):
    """An executor that weighs what comes to the machine that gives out the work."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.weights: list[int] = []

    def get(self, handle: Any) -> Any:
        value = super().get(handle)
        self.weights.append(len(pickle.dumps(value)))
        return value


def test_no_rows_come_to_the_machine_that_gives_out_the_work(tmp_path: Path) -> None:
    log = random_log(3, n_rows=200_000)
    users = pl.int_range(pl.len()) % 20_000
    folder = bucketed(log.with_columns(user=users), tmp_path / "b", 8)
    watched = Watched()
    sharded = read_sharded(folder, watched, min_value=0.5, k_core=2)
    assert len(sharded) > 100_000
    rows = 4 * len(sharded)  # one column alone
    assert sum(watched.weights) < rows / 4
    assert sum(watched.weights) / len(sharded.shards) < 20_000  # of each file: items, not users


@pytest.mark.timeout(300)
def test_workers_that_are_killed_change_nothing(two_nodes: object, tmp_path: Path) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    executor = RayExecutor()
    log = random_log(9, "text", 30_000)
    folder = bucketed(log, tmp_path / "b", 6)
    options: dict[str, Any] = {
        "values": "keep",
        "duplicates": "sum",
        "where": "event != 'cart'",
        "k_core": 3,
    }
    whole = shoal.read(log, **options)
    fingerprint = read_sharded(folder, here, **options).fingerprint
    n_killed = 0
    for seed in range(2):
        with kills(seed=seed, times=4, within=0.3) as killed:
            sharded = read_sharded(folder, executor, **options)
            assert_equal_logs(sharded.whole(executor), whole)
        assert sharded.fingerprint == fingerprint
        n_killed += len(killed)
    assert n_killed >= 8
