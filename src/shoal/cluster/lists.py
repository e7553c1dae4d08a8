"""Lists for everyone in parts, by this process or by an executor's workers."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from shoal._version import __version__
from shoal.artifact import content_of, load
from shoal.base.recommender import Recommender
from shoal.cluster.list_job import ListJob
from shoal.cluster.list_log import read_shard, seen_by, users_of_shard
from shoal.data.buckets import find_buckets, look, scan_files
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.errors import ArtifactError, DataError
from shoal.executor import Executor, Needs
from shoal.files import MARK
from shoal.inference.everyone import recommend_all
from shoal.inference.index_files import load_index
from shoal.inference.list_columns import with_origin, with_titles
from shoal.run import Run

# of a part: its shard, its users, and what they have seen elsewhere
Call: TypeAlias = tuple[int, Interactions | None, Interactions | None]


@dataclass(frozen=True)
class Done:
    """What was done, and what is there now.

    Parameters
    ----------
    made : tuple of int
        The shards whose lists were made now.
    there : tuple of int
        Those that were there before.
    whole : dict or None
        The manifest of all parts; None while some are missing.
    """

    made: tuple[int, ...]
    there: tuple[int, ...]
    whole: dict[str, Any] | None


def make_shard(job: ListJob, shard: int, run: Run | None = None) -> Done:
    """Make the lists of one shard, unless they are there.

    Parameters
    ----------
    job : ListJob
        Its number of shards is known.
    shard : int
        Counted from 0.
    run : Run, optional
        Progress.

    Raises
    ------
    ArtifactError
        The folder holds other lists, or cannot be written.
    """
    job.check_shard(shard)
    return _make(job, [shard], replace(run or Run(), executor=None))


def make_all(job: ListJob, run: Run | None = None) -> tuple[ListJob, Done]:
    """Make the lists of all shards that are not there.

    Parameters
    ----------
    job : ListJob
    run : Run, optional
        Progress; and the executor whose workers make the parts, in place of this process.

    Returns
    -------
    job : ListJob
        With its number of shards.
    done : Done
    """
    run = run or Run()
    log = None
    if job.shards is None:
        log = read(job.log, **job.reading, progress=run.progress)
        job = job.with_shards(log.n_users)
    assert job.shards is not None
    return job, _make(job, range(job.shards), run, log)


def states(job: ListJob) -> dict[int, str]:
    """Which parts are there, missing or damaged, by shard; no list is made.

    Raises
    ------
    ArtifactError
        The folder is not there, or holds other lists.
    """
    folder, asked = job.folder, job.asked()
    if folder.asked() is None:
        raise ArtifactError(f"{job.out} holds no lists yet")
    folder.begin(asked)
    return {s: folder.state(s, asked) for s in range(asked["shards"])}


def _make(
    job: ListJob,
    shards: Iterable[int],
    run: Run,
    log: Interactions | None = None,
) -> Done:
    folder, asked = job.folder, job.asked()
    folder.begin(asked)
    there: list[int] = []
    missing: list[int] = []
    for shard in shards:
        state = folder.state(shard, asked)
        if state == "damaged":
            folder.forget(shard, asked)
        (there if state == "there" else missing).append(shard)
    if missing:
        job = replace(job, reading={**job.reading, "memory": job.memory})
        seen = None
        if job.seen is not None:
            seen = read(job.seen, **job.seen_reading, progress=run.progress)
        if not job.bucketed and log is None:
            log = read(job.log, **job.reading, progress=run.progress)
        calls = _calls(missing, asked["shards"], log, seen)
        with run.progress.step("recommending", len(missing)) as step:
            for _ in _parts(job, asked, calls, run.executor):
                step.advance()
    whole = folder.whole(asked)
    if whole is not None:
        _refuse_users_in_two_parts(job)
        folder.finish(whole)
    return Done(tuple(missing), tuple(there), whole)


def _calls(
    missing: list[int], shards: int, log: Interactions | None, seen: Interactions | None
) -> Iterator[Call]:
    """The arguments of each part: its shard, its users, and what they have seen elsewhere."""
    for shard in missing:
        part = None if log is None else users_of_shard(log, shard, shards)
        yield shard, part, seen if part is None else seen_by(part.users, seen)


def _parts(
    job: ListJob, asked: dict[str, Any], calls: Iterable[Call], executor: Executor | None
) -> Iterator[dict[str, Any]]:
    """What is known of each part, as they are made."""
    if executor is None:
        for call in calls:
            yield make_part(*call, job, asked)
        return
    common = executor.put(job), executor.put(asked)
    needs = Needs(threads=job.threads or 1, gpus=int(job.device == "cuda"))
    for _, facts in executor.stream(make_part, calls, *common, needs=needs):
        yield facts


def make_part(
    shard: int,
    log: Interactions | None,
    seen: Interactions | None,
    job: ListJob,
    asked: dict[str, Any],
) -> dict[str, Any]:
    """Make the lists of a shard and put them into the folder.

    Parameters
    ----------
    shard : int
    log : Interactions or None
        The users of the shard; None reads the files of the shard.
    seen : Interactions or None
        What these users, and perhaps others, have seen elsewhere.
    job : ListJob
    asked : dict
        What the folder was begun for.

    Returns
    -------
    dict
        What is known of the part.
    """
    assert job.shards is not None
    model = _model(job)
    if log is None:
        log = read_shard(job.log, shard, job.shards, job.reading)
    table = recommend_all(
        model, log, job.k, seen=seen, because=job.because, part=True, run=job.run, **job.rules
    )
    table = with_origin(with_titles(table, model), job.name, job.version, job.made)
    file = io.BytesIO()
    table.write_parquet(file, metadata={MARK: __version__})
    fallback = table.filter("fallback") if "fallback" in table.columns else table.clear()
    facts = {
        "rows": len(table),
        "users": table["user"].n_unique(),
        "users_of_log": log.n_users,
        "users_by_fallback": fallback["user"].n_unique(),
    }
    return job.folder.place(shard, asked, file.getvalue(), facts)


_loaded: dict[tuple[Path, str, bool], Recommender] = {}  # the one model that this process holds


def _model(job: ListJob) -> Recommender:
    """The model of a job, which a process maps into memory once for all the parts it makes."""
    key = job.model, job.version, job.approximate
    model = _loaded.get(key)
    if model is None:
        _loaded.clear()
        model = load(job.model, job.run, mapped=True)
        if job.approximate:
            load_index(job.model).serve(model)
        if content_of(job.model)[0] != job.version:
            raise ArtifactError(
                f"{job.model} was replaced while lists were made: run the command again with "
                "another folder"
            )
        _loaded[key] = model
    return model


def _refuse_users_in_two_parts(job: ListJob) -> None:
    """Check that nobody has lists in two parts, where nothing says that the files are disjoint."""
    if not job.bucketed or find_buckets(job.log).manifest is not None:
        return
    assert job.shards is not None
    firsts = [
        scan_files([part], look(part).columns).filter(pl.col("rank") == 1).select("user")
        for part in (job.folder.part(shard, job.shards) for shard in range(job.shards))
    ]
    twice = pl.concat(firsts).filter(pl.col("user").is_duplicated()).head(1).collect()
    if len(twice):
        raise DataError(
            f"user {twice['user'][0]!r} has rows in more than one file of {job.log}: put all rows "
            "of a user into one file (shoal bucket), and have the lists made in another folder"
        )
