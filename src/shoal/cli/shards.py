"""``recommend`` for everyone in parts: one part, or all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.unused import changed, refuse
from shoal.errors import HistoryError
from shoal.run import how_many

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.cli.cluster_options import ClusterRankOptions
    from shoal.cluster.list_job import ListJob
    from shoal.cluster.lists import Done

PANEL = "Lists for everyone, in parts"
_MOST_NAMED = 20  # shards that are named where people read


@dataclass
class ShardOptions:
    """Who gets lists, and which part of them is made."""

    everyone: Annotated[
        Path | None,
        typer.Option(
            "--all",
            help="Log of which every user gets a list, as --log without --user; for parts also a "
            "folder of Parquet files, each with all rows of its users.",
            rich_help_panel=PANEL,
        ),
    ] = None
    shard: Annotated[
        str,
        typer.Option(
            help="Make part I of N, counted from 0, into the folder --out: 0/64 to 63/64.",
            metavar="I/N",
            rich_help_panel=PANEL,
        ),
    ] = ""
    shards: Annotated[
        int | None,
        typer.Option(
            help="Make all N parts that are not in the folder --out yet.",
            metavar="N",
            rich_help_panel=PANEL,
        ),
    ] = None
    status: Annotated[
        bool,
        typer.Option(
            "--status",
            help="With --shards: say which parts are missing or damaged, and make none.",
            rich_help_panel=PANEL,
        ),
    ] = False

    def __post_init__(self) -> None:
        self.in_parts = bool(self.shard) or self.shards is not None  # whether lists are in parts

    def log_of(self, log: Path | None, user: str | None, on: str | None) -> Path | None:
        """The log of --all or of --log; with machines, lists are in parts.

        Raises
        ------
        HistoryError
            Both are given, or options that do not go together.
        """
        if self.everyone is not None and (log is not None or user is not None):
            other = "--log" if log is not None else "--user"
            raise HistoryError(f"--all takes the log of everyone: leave out {other}")
        if self.shard and self.shards is not None:
            raise HistoryError("--shard makes one part and --shards all of them: give one of both")
        if self.status and self.shards is None:
            raise HistoryError("--status goes with --shards N")
        if on is not None and (self.shard or self.status):
            option = "--shard" if self.shard else "--status"
            raise HistoryError(
                f"{option} is for this process: leave out --on, or give --shards to make all parts "
                "that are missing"
            )
        self.in_parts |= on is not None
        if self.in_parts and ((self.everyone or log) is None or user is not None):
            option = "--shard" if self.shard else "--shards" if self.shards else "--on"
            raise HistoryError(f"{option} is for everyone: give --all LOG, and no --user")
        return self.everyone or log

    def which(self) -> tuple[int | None, int | None]:
        """The shard, or None for all; and how many there are.

        Raises
        ------
        HistoryError
            --shard is not written like 3/64.
        """
        if not self.shard:
            return None, self.shards
        first, _, last = self.shard.partition("/")
        try:
            return int(first), int(last)
        except ValueError:
            raise HistoryError(
                f"--shard {self.shard!r:.100}: write I/N, such as 0/64 for the first of 64 parts "
                "(is the variable of your scheduler set?)"
            ) from None


def recommend_in_parts(
    model: Recommender,
    places: tuple[Path, Path, Path],
    options: ShardOptions,
    running: ClusterRankOptions,
    **asked: Any,
) -> None:
    """Make one part of the lists or all that are missing, and say what is there.

    Parameters
    ----------
    model : Recommender
    places : tuple of Path
        The folder of the model, the log, and the folder of the parts.
    options : ShardOptions
    running : ClusterRankOptions
    **asked
        Fields of `ListJob`.
    """
    from shoal.cluster.list_job import ListJob
    from shoal.cluster.lists import make_all, make_shard, states
    from shoal.inference.rules import allowed_items

    run, as_json = running.run(), running.json_output
    shard, shards = options.which()
    model_folder, log, out = places
    how: dict[str, Any] = {"threads": run.threads, "memory": run.memory, "device": run.device}
    if run.executor is not None:  # then these two are of all tasks together
        cores = run.executor.threads_of_a_machine
        how |= {"threads": max(n for n in (1, 2, 3, 4) if cores % n == 0), "memory": None}
    job = ListJob.of(model_folder, log, out, shards=shards, **how, **asked)
    if options.status:
        _say_states(job, states(job), as_json)
        return
    if shard is not None:
        done = make_shard(job, shard, run)
    else:
        job, done = make_all(job, run)
    named = {name: job.rules.get(name) for name in ("only", "filter")}
    notes = list(allowed_items(model, job.rules["exclude"], **named).notes)
    _say_done(job, done, notes, as_json)


def _say_states(job: ListJob, states: dict[int, str], as_json: bool) -> None:
    """Tell which parts are there; the exit code is 1 if some are not."""
    by_state = {
        name: [shard for shard, state in states.items() if state == name]
        for name in ("missing", "damaged")
    }
    n_there = len(states) - sum(map(len, by_state.values()))
    if as_json:
        show.as_json({"folder": str(job.out), "shards": len(states), "there": n_there, **by_state})
    else:
        show.line(f"{n_there:,} of {how_many(len(states), 'part')} are there: {job.out}")
        for name, shards in by_state.items():
            if shards:
                show.line(f"{name}: {_named(shards)}", "yellow")
    if n_there < len(states):
        raise typer.Exit(1)


def _named(shards: list[int]) -> str:
    """Numbers of shards as schedulers take them: with commas; the first of many."""
    text = ",".join(map(str, shards[:_MOST_NAMED]))
    more = len(shards) - _MOST_NAMED
    return text + (f" and {more:,} more (--json names all)" if more > 0 else "")


def _say_done(job: ListJob, done: Done, notes: list[str], as_json: bool) -> None:
    totals = done.whole["totals"] if done.whole is not None else {}
    if as_json:
        answer: dict[str, Any] = {"folder": str(job.out), "shards": job.shards}
        answer |= {"made": list(done.made), "were_there": list(done.there)}
        show.as_json(answer | {"complete": done.whole is not None, **totals, "notes": notes})
        return
    for note in notes:
        show.line(note, "yellow")
    if done.made:
        show.line(f"made: part {_named(list(done.made))} of {job.shards:,}")
    if done.there:
        show.line(f"were there: {how_many(len(done.there), 'part')}", "dim")
    if totals:
        what = f"{totals['rows']:,} recommendations for {how_many(totals['users'], 'user')}"
        show.line(f"all {job.shards:,} parts are there: {what}: {job.out}")
        if totals["users_by_fallback"]:
            n = how_many(totals["users_by_fallback"], "user")
            show.line(
                f"{n} got the most popular items, marked `fallback`, as the model knows no item "
                "of theirs",
                "yellow",
            )
    else:
        show.line("other parts are missing: --status with --shards names them", "dim")


def check_table_options(writing: Any) -> None:
    """Refuse options of tables that parts do not have.

    Raises
    ------
    DataError
        One of them is given.
    """
    refuse(
        changed(writing),
        "with lists in parts: they are Parquet, and a part that is there is kept; name another "
        "folder for other lists",
    )
