"""Logs on a service that speaks S3, which runs on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import shoal
from shoal.cluster.list_job import ListJob
from shoal.cluster.lists import make_all, make_shard, states
from shoal.cluster.local import LocalExecutor
from shoal.cluster.reading import read_sharded
from shoal.errors import ArtifactError, DataError, ShoalError
from shoal.run import Run
from tests.cluster.test_connecting import TMP, shoal_alone
from tests.data.log_helpers import assert_equal_logs, random_log, with_dates

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")

here = LocalExecutor(threads=1)


@pytest.fixture(scope="module")
def service() -> Iterator[dict[str, str]]:
    """An S3 of our own on a free port of 127.0.0.1, and the environment that leads to it."""
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        yield environment
    running.stop()


@pytest.fixture
def put(service: dict[str, str], request: pytest.FixtureRequest) -> Any:
    """Copies a folder to a bucket of this test, and gives its URL."""
    import s3fs

    system = s3fs.S3FileSystem(skip_instance_cache=True)
    bucket = "b" + str(abs(hash(request.node.name)) % 10**9)
    system.mkdir(bucket)

    def copy(folder: Path, name: str = "log") -> str:
        for file in folder.iterdir():
            system.put(str(file), f"{bucket}/{name}/{file.name}")
        return f"s3://{bucket}/{name}"

    copy.system = system  # type: ignore[attr-defined]
    copy.bucket = bucket  # type: ignore[attr-defined]
    return copy


@pytest.mark.parametrize("kind", ["int", "text"])
def test_a_folder_there_is_the_log(put: Any, tmp_path: Path, kind: str) -> None:
    log = with_dates(random_log(3, kind))
    shoal.bucket(log, tmp_path / "b", 5)
    url = put(tmp_path / "b")
    options: dict[str, Any] = {
        "values": "keep",
        "where": "event != 'cart'",
        "since": "2024-02-01",
        "k_core": 2,
    }
    whole = shoal.read(log, **options)
    assert_equal_logs(shoal.read(url, **options), whole)
    assert_equal_logs(shoal.read(Path(url), **options), whole)  # as the command line has it
    assert_equal_logs(read_sharded(url, here, **options).whole(here), whole)


def test_a_folder_without_a_manifest_and_a_single_file_there(put: Any, tmp_path: Path) -> None:
    log = random_log(4)
    folder = tmp_path / "w"
    folder.mkdir()
    for k in range(2):
        log.filter(pl.col("user") % 2 == k).write_parquet(folder / f"part-{k}.parquet")
    (folder / "_SUCCESS").touch()
    url = put(folder)
    whole = shoal.read(log, min_value=1)
    assert_equal_logs(read_sharded(f"{url}/", here, min_value=1).whole(here), whole)
    one = shoal.read(f"{url}/part-0.parquet", min_value=1)
    assert_equal_logs(one, shoal.read(log.filter(pl.col("user") % 2 == 0), min_value=1))


def test_only_the_columns_in_use_are_fetched(put: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    log = random_log(5, n_rows=2000)
    text = [generator.bytes(500).hex() for _ in range(len(log))]
    folder = tmp_path / "b"
    shoal.bucket(log.with_columns(comment=pl.Series(text)), folder, 1)
    size = sum(file.stat().st_size for file in folder.iterdir())
    url = put(folder)
    fetched: list[int] = []
    import s3fs

    fetch = s3fs.core._fetch_range

    def counting(*args: Any, **kwargs: Any) -> bytes:
        found: bytes = fetch(*args, **kwargs)
        fetched.append(len(found))
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(s3fs.core, "_fetch_range", counting)
        read_sharded(url, here, min_value=1)
    assert 0 < sum(fetched) < size / 4


def test_what_is_not_there_or_damaged_is_named(put: Any, tmp_path: Path) -> None:
    shoal.bucket(random_log(6), tmp_path / "b", 4)
    url = put(tmp_path / "b")
    with pytest.raises(DataError, match=r"s3://nobody-has-this/x: no such file or folder"):
        shoal.read("s3://nobody-has-this/x")
    with pytest.raises(DataError, match="no such file or folder"):
        read_sharded(f"{url}x", here)
    name = sorted(file.name for file in (tmp_path / "b").glob("*.parquet"))[1]
    whole = (tmp_path / "b" / name).read_bytes()
    put.system.pipe(f"{put.bucket}/log/{name}", whole[:-200])
    with pytest.raises(DataError, match=rf"{name} cannot be read"):
        read_sharded(url, here)
    put.system.rm(f"{put.bucket}/log/{name}")
    with pytest.raises(DataError, match=rf"1 of its 4 files are missing, first {name}"):
        read_sharded(url, here)


def test_a_service_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, service: dict[str, str]
) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    with pytest.raises(DataError, match=r"s3://a/b cannot be read: .*127.0.0.1:9"):
        shoal.read("s3://a/b")
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("nowhere://a/b", DataError, "nowhere://a/b cannot be read: .*nowhere"),
        ("gs://a/b", ImportError, "pip install gcsfs"),
    ],
)
def test_other_services_are_named(url: str, error: type[Exception], message: str) -> None:
    if url.startswith("gs"):
        try:
            import gcsfs  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("gcsfs is installed")
    with pytest.raises(error, match=message):
        shoal.read(url)


@pytest.mark.timeout(300)
def test_train_on_ray_reads_from_there(put: Any, service: dict[str, str], tmp_path: Path) -> None:
    log = random_log(7, n_rows=900)
    shoal.bucket(log, tmp_path / "b", 5)
    url = put(tmp_path / "b")
    fit = ("train", url, "--min-value", 1, "--set", "l2=2", "--threads", 1, "--on", "ray")
    words = (*fit, "--memory", "800MB", "--out", tmp_path / "model")
    there = shoal_alone(*words, cwd=tmp_path, TMPDIR=str(TMP), **service)
    assert there.returncode == 0, there.stderr
    found = load_file(tmp_path / "model" / "arrays.safetensors")
    local = shoal.EASE(l2=2).fit(shoal.read(log, min_value=1), run=Run(threads=1)).state()
    assert all(np.array_equal(found[name], local[name]) for name in local)


def test_lists_in_parts_from_there_to_there(put: Any, tmp_path: Path) -> None:
    log = pl.DataFrame({"user": [u for u in range(40) for _ in range(4)]})
    log = log.with_columns(item=(pl.int_range(160) * 7 + pl.col("user") % 3) % 23)
    folder = tmp_path / "log"
    folder.mkdir()
    for bucket in range(4):
        log.filter(pl.col("user") % 4 == bucket).write_parquet(folder / f"{bucket}.parquet")
    model = shoal.EASE(l2=2).fit(shoal.read(log))
    shoal.save(model, tmp_path / "model")
    url = put(folder)
    out = url.replace("/log", "/lists")
    job = ListJob.of(tmp_path / "model", Path(url), Path(out), shards=3, k=5)
    assert make_shard(job, 1).made == (1,)
    assert list(states(job).values()) == ["missing", "there", "missing"]
    _, done = make_all(job, Run(executor=here))
    assert (done.made, done.there) == ((0, 2), (1,))
    assert done.whole is not None
    system = s3_files()
    assert sorted(name.rpartition("/")[2] for name in system.ls(out)) == [
        "_lists.json",
        "_manifest.json",
        *(f"_part-0000{i}-of-00003.json" for i in range(3)),
        *(f"part-0000{i}-of-00003.parquet" for i in range(3)),
    ]
    parts = [pl.read_parquet(system.cat_file(part["file"])) for part in _under(out, done.whole)]
    lists = pl.concat(parts).sort("user", maintain_order=True)
    expected = shoal.recommend_all(model, shoal.read(log), 5)
    assert lists.select(expected.columns).equals(expected)
    system.pipe_file(f"{out}/part-00001-of-00003.parquet", b"cut")
    assert list(states(job).values()) == ["there", "damaged", "there"]
    assert make_all(job)[1].made == (1,)
    system.pipe_file(f"{url}/0.parquet", (folder / "1.parquet").read_bytes())
    with pytest.raises(ArtifactError, match="log sha256 is"):
        make_shard(job, 0)
    with pytest.raises(ShoalError, match="nowhere"):
        make_shard(replace(job, log=Path(url), out=Path("s3://nowhere-at-all/lists")), 0)


def s3_files() -> Any:
    """The service's files, as they are now."""
    import s3fs

    return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


def _under(folder: str, whole: dict[str, Any]) -> list[dict[str, str]]:
    return [{"file": f"{folder}/{part['file']}"} for part in whole["parts"]]
