"""Lists for everyone in parts: the lists of one run, whoever makes the parts and who is killed."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.cluster.list_job import ListJob
from shoal.cluster.lists import make_all, make_shard, states
from shoal.cluster.local import LocalExecutor
from shoal.errors import ArtifactError, DataError, HistoryError, ShoalError
from shoal.executor import Executor
from shoal.run import Run
from tests.cluster.killing import kills

N_USERS, N_ITEMS = 300, 60


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """Users with 1 to 12 items; the last ten have only items that nobody else has."""
    rng = np.random.default_rng(3)
    rows = [
        (f"u{u:03}", int(item), int(rng.integers(1, 6)))
        for u in range(N_USERS)
        for item in rng.choice(N_ITEMS, int(rng.integers(1, 13)), replace=False)
    ]
    rows += [(f"w{u}", 1000 + u, 5) for u in range(10)]
    return pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")


@pytest.fixture(scope="module")
def places(log: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log as a file, as a folder of files, what was seen, and a model."""
    root = tmp_path_factory.mktemp("lists")
    log.write_csv(root / "log.csv")
    (root / "buckets").mkdir()
    for bucket in range(7):  # bucket 5 holds nobody
        mine = pl.col("user").str.tail(1).str.to_integer() % 5 == bucket
        log.filter(mine & (bucket != 5) & (bucket != 6)).write_parquet(
            root / "buckets" / f"b{bucket}.parquet"
        )
    seen = log.filter(pl.col("rating") == 3).select("user", pl.col("item") // 2)
    seen.write_csv(root / "seen.csv")
    films = pl.DataFrame({"item": range(N_ITEMS), "year": [1980 + i for i in range(N_ITEMS)]})
    films = films.with_columns(title=pl.format("Film {}", "item"))
    known = log.filter(pl.col("item") < N_ITEMS)
    model = shoal.EASE(l2=5).fit(shoal.read(known, min_value=2, items=films))
    shoal.save(model, root / "model")
    return root


READING = {"min_value": 3, "keep_seen": True}
RULES: dict[str, Any] = {
    "exclude": [7, 8],
    "filter": "year < 2035",
    "boost": "1 + 0.5 * (year >= 2000)",
    "fallback": "popularity",
}


def whole(root: Path, **options: Any) -> pl.DataFrame:
    """The lists of one run over the whole log, without the columns that tell of the model."""
    seen = shoal.read(root / "seen.csv", missing="drop")
    log = shoal.read(root / "log.csv", **READING)
    return shoal.recommend_all(
        shoal.load(root / "model"), log, 5, seen=seen, because=True, **RULES, **options
    )


def job(root: Path, out: Path, log: str, **options: Any) -> ListJob:
    fields: dict[str, Any] = {
        "k": 5,
        "reading": READING,
        "rules": RULES,
        "because": True,
        "seen": root / "seen.csv",
        "seen_reading": {"missing": "drop"},
        "threads": 1,
    }
    return ListJob.of(root / "model", root / log, out, **(fields | options))


def lists_in(folder: Path) -> pl.DataFrame:
    """All parts of a folder, in the order of their users."""
    parts = [pl.read_parquet(part) for part in sorted(folder.glob("part-*.parquet"))]
    return pl.concat(parts).sort("user", maintain_order=True)


def only_lists(folder: Path, shards: int) -> bool:
    """Whether a folder holds the files of so many parts and nothing else."""
    names = {path.name for path in folder.iterdir()}
    parts = {f"part-{i:05}-of-{shards:05}" for i in range(shards)}
    return names == {
        *(f"{part}.parquet" for part in parts),
        *(f"_{part}.json" for part in parts),
        *("_lists.json", "_manifest.json"),
    }


@pytest.mark.parametrize("source", ["log.csv", "buckets"])
def test_the_parts_together_are_the_lists_of_one_run(
    places: Path, tmp_path: Path, source: str
) -> None:
    asked = job(places, tmp_path / "lists", source, shards=4)
    for shard in (2, 0, 3, 1):
        done = make_shard(asked, shard)
        assert done.made == (shard,)
        assert (done.whole is not None) == (shard == 1)
    expected = whole(places)
    found = lists_in(tmp_path / "lists")
    assert expected["fallback"].any()
    assert not expected["fallback"].all()
    titles = [f"Film {item}" for item in expected["item"]]
    assert found.select(expected.columns).equals(expected)
    assert found["title"].to_list() == titles
    assert only_lists(tmp_path / "lists", 4)
    manifest = json.loads((tmp_path / "lists" / "_manifest.json").read_text())
    assert manifest["totals"]["rows"] == len(expected)
    assert manifest["totals"]["users"] == expected["user"].n_unique()
    by_fallback = expected.filter("fallback")["user"].n_unique()
    assert manifest["totals"]["users_by_fallback"] == by_fallback
    assert [part["shard"] for part in manifest["parts"]] == [0, 1, 2, 3]


def test_more_shards_than_users_and_files_without_rows(places: Path, tmp_path: Path) -> None:
    few = shoal.read(places / "log.csv", **READING).n_users
    asked = job(places, tmp_path / "many", "log.csv", shards=few + 20)
    make_all(asked)
    assert (
        lists_in(tmp_path / "many")
        .drop("title", "model", "model_version", "model_created")
        .equals(whole(places))
    )
    make_all(job(places, tmp_path / "each", "buckets"))  # a part for each file, two of nobody
    assert only_lists(tmp_path / "each", 7)
    nobody = pl.read_parquet(tmp_path / "each" / "part-00005-of-00007.parquet")
    everybody = pl.read_parquet(tmp_path / "each" / "part-00000-of-00007.parquet")
    assert len(nobody) == 0
    assert nobody.schema == everybody.schema


def test_an_executor_s_workers_make_the_same_bytes(
    executor: Executor, places: Path, tmp_path: Path
) -> None:
    for source in ("log.csv", "buckets"):
        here, there = tmp_path / f"here-{source}", tmp_path / f"there-{source}"
        make_all(job(places, here, source, shards=5))
        _, done = make_all(job(places, there, source, shards=5), Run(executor=executor))
        assert done.made == (0, 1, 2, 3, 4)
        for part in sorted(here.glob("part-*")):
            assert part.read_bytes() == (there / part.name).read_bytes()
        assert only_lists(there, 5)
        _, done = make_all(job(places, there, source, shards=5), Run(executor=executor))
        assert (done.made, done.there) == ((), (0, 1, 2, 3, 4))


class Growing(LocalExecutor):
    """An executor with one worker at first, and with five once two tasks are done."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.done = 0

    @property
    def n_workers(self) -> int:
        return 1 if self.done < 2 else 5


def test_few_arguments_wait_and_late_machines_get_work() -> None:
    executor, taken, ahead = Growing(), [], []

    def calls() -> Iterator[tuple[int]]:
        for number in range(30):
            taken.append(number)
            yield (number,)

    values = {}
    for position, value in executor.stream(divmod, calls(), 7):
        values[position] = value
        executor.done += 1
        ahead.append(len(taken) - executor.done)
    assert values == {number: divmod(number, 7) for number in range(30)}
    assert ahead[:3] == [1, 1, 9]  # two for each worker, of which one has just ended
    assert max(ahead) == 9


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("two_nodes")
def test_the_lists_are_the_same_when_workers_are_killed(places: Path, tmp_path: Path) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    shards = 120
    make_all(job(places, tmp_path / "here", "log.csv", shards=shards))
    with kills(seed=11, times=10, within=0.5, task="make_part") as killed:
        make_all(
            job(places, tmp_path / "there", "log.csv", shards=shards), Run(executor=RayExecutor())
        )
    assert len(killed) == 10
    assert only_lists(tmp_path / "there", shards)
    for part in (tmp_path / "here").glob("part-*"):
        assert part.read_bytes() == (tmp_path / "there" / part.name).read_bytes()


def test_what_is_missing_or_damaged_is_made_again(places: Path, tmp_path: Path) -> None:
    asked, folder = job(places, tmp_path / "lists", "log.csv", shards=4), tmp_path / "lists"
    make_all(asked)
    bytes_before = {path.name: path.read_bytes() for path in folder.iterdir()}
    times_before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    damaged = folder / "part-00001-of-00004.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (folder / "part-00002-of-00004.parquet").unlink()
    (folder / "_part-00003-of-00004.json").unlink()  # killed before it was written
    assert states(asked) == {0: "there", 1: "damaged", 2: "missing", 3: "missing"}
    _, done = make_all(asked)
    assert (done.made, done.there) == ((1, 2, 3), (0,))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == bytes_before
    first = folder / "part-00000-of-00004.parquet"
    assert first.stat().st_mtime_ns == times_before[first.name]
    assert set(states(asked).values()) == {"there"}
    damaged.write_bytes(damaged.read_bytes()[:-100])
    make_shard(asked, 0)
    assert (folder / "_manifest.json").exists()  # nobody has looked at that part
    make_shard(asked, 1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == bytes_before


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"k": 6}, "options k is 5, not 6"),
        ({"shards": 3}, "shards is 4, not 3"),
        ({"because": False}, "options because is true, not not given"),
        ({"rules": RULES | {"exclude": [7]}}, r"options exclude is \[7, 8\], not \[7\]"),
        ({"reading": {"min_value": 4}}, "options min_value is 3, not 4"),
        ({"seen": None}, "seen files is 1, not not given"),
        ({"version": "0" * 12}, "model version is"),
    ],
)
def test_a_folder_of_other_lists_is_refused(
    places: Path, tmp_path: Path, others: dict[str, Any], told: str
) -> None:
    asked = job(places, tmp_path / "lists", "log.csv", shards=4)
    make_shard(asked, 1)
    before = sorted((tmp_path / "lists").iterdir())
    with pytest.raises(ArtifactError, match=told):
        make_shard(replace(asked, **others), 0)
    assert sorted((tmp_path / "lists").iterdir()) == before


def test_another_log_is_noticed(places: Path, tmp_path: Path) -> None:
    for source in ("log.csv", "buckets"):
        copy = tmp_path / source
        shutil.copytree(places / source, copy) if source == "buckets" else shutil.copy(
            places / source, copy
        )
        asked = replace(job(places, tmp_path / f"l-{source}", source, shards=4), log=copy)
        make_shard(asked, 0)
        file = copy if source == "log.csv" else copy / "b3.parquet"
        if source == "log.csv":
            file.write_text(file.read_text() + "u000,3,5\n")
        else:
            pl.read_parquet(file).with_columns(pl.col("item") + 1).write_parquet(file)
        with pytest.raises(ArtifactError, match="log sha256 is"):
            make_shard(asked, 1)


def test_bad_input(places: Path, tmp_path: Path) -> None:
    cases: list[tuple[Callable[[], object], type[ShoalError], str]] = [
        (lambda: make_shard(job(places, tmp_path / "l", "log.csv", shards=4), 4), HistoryError,
         "the first is 0/4 and the last 3/4"),
        (lambda: job(places, tmp_path / "l", "log.csv", shards=0), HistoryError, "0 shards"),
        (lambda: job(places, tmp_path / "l", "buckets", shards=8), HistoryError, "has 7 files"),
        (lambda: job(places, tmp_path / "l", "buckets", reading={"k_core": 3}), DataError,
         "--k-core counts the users of all files"),
        (lambda: job(places, tmp_path / "l", "nothing.csv", shards=2), DataError, "no such file"),
        (lambda: make_all(job(places, tmp_path / "a" / "b", "log.csv", shards=2)), ArtifactError,
         "there is no folder"),
        (lambda: make_all(job(places, places / "buckets", "log.csv", shards=2)), ArtifactError,
         "a folder of its own"),
        (lambda: states(job(places, tmp_path / "l", "log.csv", shards=2)), ArtifactError,
         "holds no lists yet"),
    ]  # fmt: skip
    for act, kind, told in cases:
        with pytest.raises(kind, match=told):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_user_in_two_files_is_refused(places: Path, tmp_path: Path) -> None:
    shutil.copytree(places / "buckets", tmp_path / "buckets")
    file = tmp_path / "buckets" / "b1.parquet"
    stray = pl.read_parquet(tmp_path / "buckets" / "b0.parquet").filter(pl.col("user") == "u005")
    pl.concat([pl.read_parquet(file), stray]).write_parquet(file)
    asked = replace(job(places, tmp_path / "lists", "buckets"), log=tmp_path / "buckets")
    with pytest.raises(DataError, match="user 'u005' has rows in more than one file"):
        make_all(asked)
    assert not (tmp_path / "lists" / "_manifest.json").exists()


def test_several_that_finish_at_once(places: Path, tmp_path: Path) -> None:
    """Processes that begin and end together: every part is there, and one manifest of all."""
    asked = job(places, tmp_path / "lists", "log.csv", shards=6)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=make_shard, args=(asked, shard)) for shard in (0, 1, 1, 2)]
    for worker in workers:
        worker.start()
    for shard in (3, 4, 5):
        make_shard(asked, shard)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert only_lists(tmp_path / "lists", 6)
    assert lists_in(tmp_path / "lists").select(whole(places).columns).equals(whole(places))
