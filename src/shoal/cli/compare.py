"""``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.comparison_files import add_extras, check_results, write_per_user, write_results
from shoal.cli.contestants import contestants, counted_events, policy_files
from shoal.cli.faults import to_stderr
from shoal.cli.options import (
    METRICS,
    LogOptions,
    Metrics,
    OptionalLog,
    RunOptions,
    SplitOptions,
    takes,
)
from shoal.cli.outputs import TableOptions, check_training_log
from shoal.cli.parse import one_of
from shoal.cli.progress import announce
from shoal.cli.unused import changed, name_unread_vectors, refuse, refuse_training_options
from shoal.errors import DataError
from shoal.run import duration

if TYPE_CHECKING:
    from shoal.experiments.comparison.compare import Entry
    from shoal.experiments.comparison.conclude import Comparison
    from shoal.experiments.tuning.search import Sampler

DEFAULT = "popularity,item-knn,ease,edlae,rdlae"
SAMPLERS: tuple[Sampler, ...] = ("tpe", "random")


@app.command()
@takes(LogOptions, SplitOptions, RunOptions, TableOptions)
def compare(
    log: OptionalLog = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Names with commas, with settings in parentheses or without: popularity,"
            "'ease(l2=300)','blend(ease+gf-cf)'; or all, fast (no training by steps), deep; or "
            f"policy files. Default: {DEFAULT}; none beside --policies.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="model.parameter=value, such as ease.l2=300; repeatable."),
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(help="Policy files with commas: their models, and those of --models."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Title of what --out writes, and name of the data. Default: the log's."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="So many splits and fits, from --seed on; averaged per user.")
    ] = 1,
    tune: Annotated[
        int, typer.Option(help="Tune each model on validation users with so many trials.")
    ] = 0,
    minutes: Annotated[
        float | None, typer.Option(help="Tune each model for at most so many minutes.")
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="How settings are chosen: tpe (needs Optuna, and is the default where that is) "
            "or random.",
            metavar="tpe|random",
        ),
    ] = None,
    metrics: Metrics = f"{METRICS},novelty@100",
    per_user: Annotated[
        Path | None, typer.Option(help="Also write the values per user (.parquet, .csv).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the results (.csv, .json, .tex, .html).")
    ] = None,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: RunOptions,
    writing: TableOptions,
) -> None:
    """Fit several models on the same users: a leaderboard with errors, costs and a verdict."""
    from shoal.experiments.comparison.compare import Interrupted, budget_of
    from shoal.experiments.comparison.compare import compare as compare_models
    from shoal.experiments.files.facts import facts_of
    from shoal.experiments.tasks import RANKING

    if tune < 0 or seeds < 1:
        raise DataError(f"--tune {tune} --seeds {seeds}: give at least 0 trials and 1 seed")
    tuned = budget_of(tune, minutes) is not None
    if not tuned:
        refuse(["--sampler"] if sampler else [], "without --tune N or --minutes M: add one of them")
    chosen = one_of(sampler, SAMPLERS, "--sampler") if sampler else None
    if models is None:
        models = "" if policies else DEFAULT
    files = policy_files(models, policies)
    entrants = contestants(models, files, set_, tuned=tuned)
    reading = reading.counting(counted_events(files))
    names = [entrant.kind.name for entrant in entrants]
    refuse_training_options(names, running)
    name_unread_vectors(names, reading)
    inputs = (log, splitting.train, splitting.test, reading.items, reading.vectors, *files)
    _check_outputs(out, per_user, writing, inputs)
    check_training_log(running.training_log, *inputs)
    metric_names = RANKING.metric_names(metrics)
    run = running.run()

    interactions, split_by = splitting.prepare(RANKING, log, reading, run)
    title = name or (log or splitting.train or Path("data")).stem
    data = facts_of(title, interactions) | show.log_dict(interactions)
    if not running.json_output:
        show.log_lines(interactions)
    told = _Told(len(entrants), seeds, quiet=running.json_output)
    try:
        comparison = compare_models(
            split_by(run.seed) if splitting.fixed else split_by,
            entrants,
            metrics=metric_names,
            seeds=seeds,
            trials=tune,
            minutes=minutes,
            sampler=chosen,
            keep_models="best" if out is not None and out.suffix == ".html" else False,
            run=run,
            seen=told.one_more,
            data=data,
        )
    except Interrupted as interrupted:
        comparison = interrupted.comparison
        _print_and_write(comparison, out, per_user, running, writing, show_settings=tuned)
        to_stderr(f"interrupted: {'; '.join(comparison.about_unfinished())}")
        raise
    _print_and_write(comparison, out, per_user, running, writing, show_settings=tuned)
    if out is not None and comparison.models:  # a page also shows what is in the models
        add_extras(comparison, out, split_by(run.seed), interactions, run)


class _Told:
    """Says of each model that is finished how it did, where progress is not drawn.

    Parameters
    ----------
    models, seeds : int
        How many there are.
    quiet : bool
    """

    def __init__(self, models: int, seeds: int, *, quiet: bool) -> None:
        self.total, self.finished, self.quiet = models * seeds, 0, quiet

    def one_more(self, entry: Entry) -> None:
        """Say how a model did, with the seeds so far."""
        self.finished += 1
        if self.quiet:
            return
        name, score = next(iter(entry.scores.items()))
        seeds = f", {len(entry.cells)} seeds" if len(entry.cells) > 1 else ""
        place = f"{self.finished} of {self.total}"
        announce(f"{entry.label}: {name} {score}, {duration(entry.fit_seconds)}{seeds} ({place})")


def _check_outputs(
    out: Path | None, per_user: Path | None, writing: TableOptions, inputs: tuple[Path | None, ...]
) -> None:
    """Refuse files that cannot or must not be written, before long work."""
    from shoal.files import check_table

    if out is None and per_user is None:
        refuse(changed(writing), "without --out FILE or --per-user FILE: leave it out")
    if out is not None and per_user is not None and out.absolute() == per_user.absolute():
        raise DataError(f"--out and --per-user both write {out}: give them different names")
    if out is not None:
        check_results(out)
        writing.check(out, *inputs)
    if per_user is not None:
        check_table(per_user)
        writing.check(per_user, *inputs)


def _print_and_write(
    comparison: Comparison,
    out: Path | None,
    per_user: Path | None,
    running: RunOptions,
    writing: TableOptions,
    *,
    show_settings: bool,
) -> None:
    """Write what is asked for, and print the leaderboard or all as JSON, even if writing fails."""
    try:
        if out is not None:
            write_results(comparison, out, str(comparison.data["name"]))
        if per_user is not None:
            write_per_user(comparison, per_user, guard_formulas=writing.guard_formulas)
    finally:
        _print(comparison, as_json=running.json_output, show_settings=show_settings)


def _print(comparison: Comparison, *, as_json: bool, show_settings: bool) -> None:
    """Print the leaderboard and the verdict, or all as JSON."""
    if as_json:
        show.as_json(comparison.to_dict())
        return
    show.comparison_table(comparison)
    if show_settings:
        for entry in comparison.entries:
            parameters = show.parameters_text(entry.evaluation.parameters)
            show.line(f"{entry.label}: {parameters}", "dim")
