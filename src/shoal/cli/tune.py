"""``tune``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.cluster_options import ClusterRunOptions
from shoal.cli.faults import to_stderr
from shoal.cli.model_options import Model, Policy, Set, model_to_search
from shoal.cli.options import METRICS, LogOptions, OptionalLog, SplitOptions, takes
from shoal.cli.outputs import OutputOptions, check_training_log
from shoal.cli.ranges import parse_ranges
from shoal.cli.unused import name_unread_vectors, refuse_training_options
from shoal.errors import ModelError, ShoalError
from shoal.run import duration, how_many

if TYPE_CHECKING:
    from shoal.base.ranges import Choices, Range
    from shoal.cli.model_options import Chosen
    from shoal.evaluation.evaluate import Evaluation
    from shoal.experiments.tuning import Searched, Trial

SEARCH = "Search"


@app.command()
@takes(LogOptions, SplitOptions, ClusterRunOptions, OutputOptions)
def tune(
    log: OptionalLog = None,
    model: Model = None,
    trials: Annotated[
        int | None,
        typer.Option(
            help="Settings to fit; those that share an inverse count as one.",
            show_default="20, or with --minutes any number",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="The search ends then.", rich_help_panel=SEARCH)
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="Where settings are from: Optuna's estimator, or chance.",
            metavar="tpe|random",
            show_default="tpe where Optuna is installed",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    range_: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="What to search, instead of all that the model declares: l2=10:1000:log, "
            "xi=0.1,0.3; repeatable.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    set_: Set = None,
    policy: Policy = None,
    metric: Annotated[
        str, typer.Option(help="That decides, on validation users.", rich_help_panel=SEARCH)
    ] = "ndcg@100",
    metrics: Annotated[str, typer.Option(help="For the final table, on test users.")] = METRICS,
    storage: Annotated[
        Path | None,
        typer.Option(
            help="SQLite file that keeps the trials, and from which the search goes on.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Processes that search at once.", rich_help_panel=SEARCH)
    ] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Policy file to write the best settings to (.yaml).")
    ] = None,
    *,
    reading: LogOptions,
    splitting: SplitOptions,
    running: ClusterRunOptions,
    writing: OutputOptions,
) -> None:
    """Choose hyper-parameters on validation users, then evaluate the choice on the test."""
    from shoal.evaluation.evaluate import refuse_long_lists
    from shoal.experiments.tasks import RANKING
    from shoal.experiments.tuning import shares_inverses
    from shoal.experiments.tuning.jobs import search_in_processes
    from shoal.experiments.tuning.policy_file import check_policy_path, write_policy
    from shoal.experiments.tuning.problem import checked
    from shoal.experiments.tuning.search import usual_sampler
    from shoal.experiments.tuning.trials import Budget
    from shoal.models.registry import by_name

    chosen = model_to_search(model, set_, policy)
    fixed, space = _what_to_search(chosen, range_)
    reading = reading.counting(chosen.events)
    kind = by_name(chosen.name)
    checked(kind, space, fixed, metric)  # before the log is read
    if trials is None and minutes is None:
        trials = chosen.trials or 20
    budget = Budget(trials, minutes)
    refuse_training_options([chosen.name], running)
    name_unread_vectors([chosen.name], reading)
    check_training_log(running.training_log, log, splitting.train, splitting.test, policy)
    if out is not None:
        check_policy_path(out)
    writing.check(out, log, splitting.train, splitting.test, policy, storage)
    metric_names = RANKING.metric_names(metrics)
    running.threads_are_of_each()
    run = running.run()

    interactions, parts = splitting.make(RANKING, log, reading, run)
    refuse_long_lists([*metric_names, metric], parts.train.n_items)
    if not running.json_output:
        show.log_lines(interactions)
    finished: list[Trial] = []
    shared = shares_inverses(kind, fixed, space)
    arguments: dict[str, Any] = {"seen": finished.extend} if jobs == 1 else {}
    try:
        found = search_in_processes(
            jobs,
            kind=chosen.name,
            train=parts.train,
            validation=parts.validation,
            budget=budget,
            space=space,
            fixed=fixed,
            metric=metric,
            sampler=sampler or usual_sampler(),
            storage=storage,
            run=run,
            **arguments,
        )
        # before the last fit, which may fail: nothing of a search is to be lost
        if out is not None:
            source = log or splitting.train
            assert parts.validation is not None
            data, users = f"{source}, {parts.name}", parts.validation.n_users
            write_policy(out, kind, found, data, users, chosen.events)
        finished = list(found.trials)
        fitted = kind(**found.best.settings).fit(parts.train, parts.validation, run)
        evaluation = RANKING.evaluate(fitted, parts, metric_names, run)
    except (KeyboardInterrupt, ShoalError) as error:
        if finished and not running.json_output:
            _print_best(finished, metric, shared)
        if isinstance(error, KeyboardInterrupt):
            kept = f"; the same command goes on from {storage}" if storage is not None else ""
            to_stderr(f"interrupted after {how_many(len(finished), 'trial')}{kept}")
        raise
    if running.json_output:
        show.as_json(_as_dict(found, evaluation))
    else:
        _print(found, evaluation, shared)
        if out is not None:
            show.line(
                f"wrote {out}; next: shoal train LOG --policy {out}, with the same options for "
                "the log"
            )


def _what_to_search(
    chosen: Chosen, range_: list[str] | None
) -> tuple[dict[str, Any], Mapping[str, Range | Choices] | None]:
    """What is fixed, and what is searched; None stands for all that is declared.

    What the command line says goes before what stands in a policy file. A file with ranges leaves
    everything else to the search too, as hosted recommenders do, unless --range names what to
    search.
    """
    given = parse_ranges(range_, chosen.name)
    both = sorted(set(given) & set(chosen.set_))
    if both:
        raise ModelError(f"--set and --range both name {', '.join(both)}: give one of them")
    fixed = {n: v for n, v in chosen.settings.items() if n not in given}
    space = chosen.space | given
    if chosen.space and not given:
        from shoal.base.ranges import declared
        from shoal.models.registry import by_name

        own = declared(by_name(chosen.name)).items()
        space = {**{n: v for n, v in own if n not in fixed}, **space}
    return fixed, space or None


def _as_dict(found: Searched, evaluation: Evaluation) -> dict[str, Any]:
    """All that came of a search, for JSON."""
    metric = found.metric
    return {
        "best": found.best.settings,
        "validation": {metric: found.best.score},
        "trials": [{**trial.to_dict(), metric: trial.score} for trial in found.trials],
        "importance": found.importance,
        "seconds": round(found.seconds, 3),
        "notes": list(found.notes),
        "test": evaluation.to_dict(),
    }


def _print(found: Searched, evaluation: Evaluation, shared: bool) -> None:
    """The best trials, what mattered, and how the best model does on the test users."""
    _print_best(found.trials, found.metric, shared)
    pace = 60 * len(found.trials) / max(found.seconds, 1e-9)
    trials = how_many(len(found.trials), "trial")
    show.line(f"{trials} in {duration(found.seconds)} ({pace:,.0f} a minute)")
    for note in found.notes:
        show.line(note, "dim")
    if found.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importance.items())
        show.line(f"what the differences between settings come from: {shares}")
    else:
        show.line("too few trials, or too irregular ones, to tell which settings mattered", "dim")
    show.line("the best, on test users:", "bold")
    show.evaluation_lines(evaluation)


def _print_best(trials: Sequence[Trial], metric: str, shared: bool) -> None:
    """The ten best trials; of those that share an inverse, the best alone.

    Trials that were stopped early come last: their scores are no rivals of the others'.
    """
    from shoal.base.common_inverse import OUTER

    best: dict[object, Trial] = {}
    ordered = sorted(trials, key=lambda trial: (trial.state != "complete", -trial.score))
    for number, trial in enumerate(ordered):
        inverse = tuple(trial.settings.get(name) for name in OUTER)
        best.setdefault(inverse if shared else number, trial)
    for trial in list(best.values())[:10]:
        about = [] if trial.source == "drawn" else [trial.source]
        if trial.state == "pruned" and trial.epochs is not None:
            about.append(f"stopped after epoch {trial.epochs}")
        why = f"  ({', '.join(about)})" if about else ""
        show.line(f"{metric} {trial.score:.4f}  {show.parameters_text(trial.settings)}{why}")
