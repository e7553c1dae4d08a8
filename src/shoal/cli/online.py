"""``online``: what an experiment with users of a service has shown, and its decision."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.events import Database, Since, Until, moment, open_store
from shoal.cli.running import JsonOutput
from shoal.errors import DataError, ModelError

if TYPE_CHECKING:
    from shoal.events import EventStore
    from shoal.online import Experiment
    from shoal.online.promotion import Decision
    from shoal.online.results import Guard, OnlineReport, VariantReport
    from shoal.online.sequence import Interval

online_app = typer.Typer(
    no_args_is_help=True, help="Experiments online: which variant gets more clicks, and promote it."
)
app.add_typer(online_app, name="online")

ExperimentFile = Annotated[
    Path, typer.Option("--experiment", help="YAML file of the experiment, as `shoal serve` has it.")
]


@online_app.command("report")
def report_experiment(
    database: Database,
    experiment: ExperimentFile,
    model: Annotated[
        str | None,
        typer.Option(
            help="Store or model folder whose training users say how popular an item is, for the "
            "guard of popularity."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    json_output: JsonOutput = False,
) -> None:
    """Say how often users of each variant clicked, how sure that is, and whether guards hold.

    The intervals hold however often one looks, so an experiment may be ended at any look.
    """
    from shoal.online.definition import read_experiment
    from shoal.online.report import report

    described = read_experiment(experiment)
    users = _training_users(model) if model is not None else None
    window = {"since": moment(since, "--since"), "until": moment(until, "--until")}
    with open_store(database) as store:
        made = report(store, described, training_users=users, **window)
    if json_output:
        show.as_json(made.to_dict())
    else:
        _print_report(made)


@online_app.command("promote")
def promote_variant(
    database: Database,
    experiment: ExperimentFile,
    variant: Annotated[
        str | None, typer.Argument(help="Variant that everybody gets.", show_default=False)
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Store that the service answers from; a variant that is a version of it is made "
            "the live one."
        ),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Give users their own variants again.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Promote also a variant that something speaks against."),
    ] = False,
    json_output: JsonOutput = False,
) -> None:
    """Give everybody one variant; services that use this database do so within seconds.

    Where the variant is not known to be better, is worse, or breaks a guard, this is said first,
    and it is promoted only with --yes, or after the question on a terminal.
    """
    from shoal.artifact import Store
    from shoal.online import promotion
    from shoal.online.definition import read_experiment

    described = read_experiment(experiment)
    names = ", ".join(described.variants)
    if undo and variant is not None:
        raise DataError(f"--undo and {variant}: give one of the two")
    if not undo and variant is None:
        raise DataError(f"name the variant that everybody gets (one of {names}), or --undo")
    models = Store(model) if model is not None else None
    with open_store(database) as store:
        if variant is None:
            done = promotion.undo(store, described, models)
        else:
            described.check_variant(variant)
            if not yes:
                _ask_if_in_doubt(store, described, variant, model, may_ask=not json_output)
            done = promotion.promote(store, described, variant, models)
    if json_output:
        show.as_json(asdict(done))
    else:
        _print_decision(done)


def _ask_if_in_doubt(
    store: EventStore, experiment: Experiment, variant: str, model: Path | None, *, may_ask: bool
) -> None:
    """Say what speaks against a variant, and end unless a person wants it all the same.

    Raises
    ------
    DataError
        Something speaks against it, and nobody can be asked, or the answer is no.
    """
    from shoal.artifact import load
    from shoal.cli.terminal import is_terminal
    from shoal.online.doubts import doubts
    from shoal.online.guards import training_users_of
    from shoal.online.report import report

    users = None
    if model is not None and experiment.guards.popularity is not None:
        users = training_users_of(load(model))
    found = doubts(report(store, experiment, training_users=users), variant)
    if not found:
        return
    told = " ".join(doubt.text for doubt in found)
    if not (may_ask and is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise DataError(f"{variant} is not promoted: {told} With --yes it is all the same")
    show.aside(f"{variant}: {told}")
    if not typer.confirm(f"Give everybody {variant} all the same?", err=True):
        raise DataError(f"{variant} is not promoted")


def _training_users(model: str) -> dict[str, int]:
    from shoal.artifact import load
    from shoal.artifact.below import is_servable, told_below
    from shoal.online.guards import training_users_of

    if Path(model).is_dir() and not is_servable(model):
        raise ModelError(
            f"--model {model} holds neither a model (manifest.json) nor a store of versions"
            f"{told_below(model)}"
        )
    users = training_users_of(load(model))
    if users is None:
        raise ModelError(
            f"{model} was saved by a shoal that kept no numbers of training users: train it again, "
            "or leave out --model"
        )
    return users


def _print_report(made: OnlineReport) -> None:
    from shoal.data.times import as_date

    show.line(f"experiment {made.experiment}: {made.conclusion}", "bold")
    if made.first is not None and made.last is not None:
        show.line(f"lists from {as_date(made.first)} to {as_date(made.last)} (UTC)", "dim")
    _print_rates(made)
    if any(variant.guards for variant in made.variants):
        _print_guards(made.variants)
    ratio = made.sample_ratio
    if any(variant.users for variant in made.variants):
        fits = "do not fit" if ratio.mismatch else "fit"
        show.line(
            f"numbers of users {fits} the shares (p = {ratio.p:.2g}, flagged below "
            f"{ratio.level:g})",
            "yellow" if ratio.mismatch else "",
        )
    for note in made.notes:
        show.line(note, "yellow")
    show.line(
        f"rate: items with a {made.success}, of all items shown; intervals of {1 - made.alpha:.0%} "
        "hold for all looks together, those of the differences for all variants, too",
        "dim",
    )


def _print_rates(made: OnlineReport) -> None:
    headings = ["variant", "share", "users", "lists", "items shown", "clicked", "rate", "interval"]
    rows = [[*headings, f"to {made.control}", "interval", "verdict"]]
    for variant in made.variants:
        numbers = (variant.users, variant.lists, variant.impressions, variant.clicks)
        row = [variant.name, f"{variant.share:.0%}", *(f"{n:,}" for n in numbers)]
        row += [_percent(variant.rate), _interval_text(variant.interval)]
        difference = variant.difference
        if difference is None:
            row += ["", "", "control"]
        else:
            row += [_percent(difference.value, "+"), _interval_text(difference.interval, "+")]
            row += [difference.verdict]
        rows.append(row)
    show.table(rows)


def _percent(number: float | None, sign: str = "") -> str:
    return "–" if number is None else f"{number:{sign}.2%}"


def _interval_text(interval: Interval | None, sign: str = "") -> str:
    if interval is None:
        return "–"
    return f"{_percent(interval.low, sign)} to {_percent(interval.high, sign)}"


def _print_guards(variants: tuple[VariantReport, ...]) -> None:
    rows = [["variant", "guard", "value", "control", "ratio", "allowed", "holds"]]
    for variant in variants:
        for guard in variant.guards:
            numbers = (guard.value, guard.control)
            row = [variant.name, guard.name, *("–" if n is None else f"{n:,.1f}" for n in numbers)]
            row += ["–" if guard.ratio is None else f"{guard.ratio:.2f}", _allowed(guard)]
            rows.append([*row, guard.why or ("yes" if guard.passed else "no")])
    show.table(rows)
    show.line(
        "coverage: distinct items in as many impressions as the variant with the fewest has; "
        "popularity: mean training users of the items that were shown",
        "dim",
    )


def _allowed(guard: Guard) -> str:
    return f"{'at least' if guard.name == 'coverage' else 'at most'} {guard.limit:g}"


def _print_decision(done: Decision) -> None:
    if done.variant is None:
        show.line(f"experiment {done.experiment}: {done.before} is no longer promoted")
    else:
        before = f", in place of {done.before}" if done.before not in (None, done.variant) else ""
        show.line(f"experiment {done.experiment}: everybody gets {done.variant}{before}")
    if done.activated is not None:
        show.line(f"version {done.activated} is live now")
    for note in done.notes:
        show.line(note, "dim")
