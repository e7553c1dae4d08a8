"""``predict``, and what ``train`` and ``evaluate`` do for models that rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.app import app
from shoal.cli.options import LogOptions, RunOptions, SplitOptions, id_list, takes
from shoal.errors import DataError

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions
    from shoal.run import Run
    from shoal.splitting.ratings import RatingSplit

Folder = Annotated[Path, typer.Argument(help="Model folder of a model that rates.")]


@app.command()
@takes(RunOptions)
def predict(
    model: Folder,
    user: Annotated[str, typer.Option(help="Id of a user that it was trained on.")],
    items: Annotated[str, typer.Option(help="Item ids, comma-separated.")],
    *,
    running: RunOptions,
) -> None:
    """Predict how a user would rate some items."""
    from shoal.artifact import load
    from shoal.cli import show
    from shoal.inference.predict import predict as ask
    from shoal.inference.recommendations import label

    found = ask(load(model, running.run()), user, id_list(items))
    if running.json_output:
        show.as_json(
            {
                "user": found.user,
                "range": [found.low, found.high],
                "items": [
                    {"id": r.item, "rating": r.rating, "cold": r.cold, "attributes": r.attributes}
                    for r in found
                ],
            }
        )
        return
    for r in found:
        show.line(f"{r.rating:.2f}  {label(r.item, r.attributes)}{' (cold)' if r.cold else ''}")
    if any(r.cold for r in found):
        show.line("cold: without a training rating of the user or the item; a default", "dim")


def read_ratings(how: LogOptions) -> LogOptions:
    """The same options, but with the values kept."""
    how.values = "keep"
    return how


def make_split(
    log: Path | None, how: LogOptions, held_out: SplitOptions, run: Run
) -> tuple[Interactions, RatingSplit]:
    """Read what there is to read and hold ratings out; gives the log (or training file) too.

    Raises
    ------
    DataError
        A split for rankings, or options of one.
    """
    from shoal.splitting.ratings import RATING_KINDS, split_given_ratings, split_ratings

    read_ratings(how)
    if held_out.protocol is not None:
        raise DataError(f"--protocol {held_out.protocol} is a split for models that rank")
    parts = held_out.files(log, how, run)
    if parts is not None:
        share = held_out.validation_size or 0.0
        return parts[0], split_given_ratings(*parts, validation=share, seed=run.seed)
    assert log is not None
    # the option's default is the default of models that rank
    kind = "random" if held_out.split == "strong" else held_out.split
    if kind not in RATING_KINDS:
        raise DataError(f"--split {kind}: ratings are split by {', '.join(RATING_KINDS)}")
    whole = how.read(log, run)
    shares = {"test": held_out.test_size, "validation": held_out.validation_size}
    given = {name: share for name, share in shares.items() if share is not None}
    return whole, split_ratings(whole, kind, seed=run.seed, **given)


def evaluate_ratings(
    unfitted: Recommender,
    log: Path | None,
    per_user: Path | None,
    how: LogOptions,
    held_out: SplitOptions,
    running: RunOptions,
) -> None:
    """Hold ratings out, fit the model to the others, and print its errors."""
    from time import perf_counter

    from shoal.cli import show
    from shoal.evaluation.ratings import DEFINITIONS
    from shoal.evaluation.ratings import evaluate_ratings as measure
    from shoal.experiments.warmup import warm_up
    from shoal.files import check_table, write_table
    from shoal.run import first_process

    if per_user is not None:
        check_table(per_user)
    run = running.run()
    interactions, parts = make_split(log, how, held_out, run)
    if not running.json_output:
        show.log_lines(interactions)
        show.estimate(unfitted, parts.train, run)
    warm_up(unfitted, parts.train, run)
    began = perf_counter()
    fitted = unfitted.fit(parts.train, parts.validation, run)
    seconds = perf_counter() - began
    found = measure(fitted, parts, run)
    if per_user is not None and first_process():
        import polars as pl

        write_table(pl.DataFrame({"user": found.users.series, **found.per_user}), per_user)
    if running.json_output:
        facts: dict[str, Any] = {"fit_seconds": round(seconds, 3), "facts": fitted.facts}
        more = {"definitions": DEFINITIONS, "data": show.log_dict(interactions)}
        show.as_json(found.to_dict() | facts | more)
        return
    show.line(f"{found.model} {show.parameters_text(found.parameters)}", "bold")
    show.line(f"{found.protocol}: {found.n_ratings:,} ratings of {len(found.users):,} users")
    for name, score in found.scores.items():
        show.line(f"  {name:<14} {score}")
    cold = f"{found.cold_users:,} of a cold user, {found.cold_items:,} of a cold item"
    show.line(f"of these ratings {cold}: predicted by a default", "dim")
    for name, definition in DEFINITIONS.items():
        show.line(f"{name}: {definition}", "dim")
    show.line(f"fit {seconds:.2f} s, evaluation {found.seconds:.2f} s", "dim")
