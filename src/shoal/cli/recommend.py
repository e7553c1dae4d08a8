"""``recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import Folder, HowMany, LogOptions, RunOptions, takes
from shoal.cli.parse import id_list
from shoal.errors import HistoryError, ModelError

if TYPE_CHECKING:
    import polars as pl

    from shoal.base.recommender import Recommender
    from shoal.run import Run


@app.command()
@takes(LogOptions, RunOptions)
def recommend(
    model: Folder,
    history: Annotated[str, typer.Option(help="Item ids, comma-separated.")] = "",
    log: Annotated[Path | None, typer.Option(help="Log to take histories from.")] = None,
    user: Annotated[str | None, typer.Option(help="A user of --log; default: all.")] = None,
    k: HowMany = 10,
    because: Annotated[bool, typer.Option("--because", help="With reasons.")] = False,
    exclude: Annotated[str, typer.Option(help="Ids never to recommend.")] = "",
    only: Annotated[str, typer.Option(help="Ids to choose among.")] = "",
    new_items: Annotated[
        bool, typer.Option("--new-items", help="Choose among items that nobody had in training.")
    ] = False,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Also items of the history.")
    ] = False,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="From the index that `shoal index` has made.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="For all users: write to this Parquet or CSV file.")
    ] = None,
    *,
    reading: LogOptions,
    running: RunOptions,
) -> None:
    """Recommend to a history, a user of a log, or all users of a log."""
    from shoal.inference.recommend import recommend as recommend_to_one
    from shoal.inference.recommend import recommend_all

    _refuse_what_does_not_go_together(history, log, user, because, out)
    run, as_json = running.run(), running.json_output
    fitted = _load(model, run, approximate=approximate)
    if log is not None:
        reading = reading.like_training_log(fitted, quiet=as_json)
    rules = _rules(fitted, exclude, only, new_items, include_seen)

    if log is not None and user is None:
        table = recommend_all(fitted, reading.read(log, run), k, run=run, **rules)
        _show_table(table, out, as_json)
        return
    reasons = True if as_json else 3  # a person reads the strongest three
    recommendations = recommend_to_one(
        fitted,
        id_list(history) if log is None else reading.read(log, run),
        k,
        user=user,
        because=reasons if because else False,
        run=run,
        **rules,
    )
    show.recommendations(recommendations, as_json)


def _refuse_what_does_not_go_together(
    history: str, log: Path | None, user: str | None, because: bool, out: Path | None
) -> None:
    from shoal.files import check_table

    if bool(history) == bool(log):
        raise HistoryError("give either --history ID,ID,… or --log FILE (with --user for one user)")
    if user is not None and log is None:
        raise HistoryError("--user goes with --log FILE")
    for_everyone = log is not None and user is None
    if out is not None:
        check_table(out)
        if not for_everyone:
            raise HistoryError("--out goes with --log FILE for all its users; one list is printed")
    if because and for_everyone:
        raise HistoryError("--because goes with one history: --history, or --log with --user")


def _load(folder: Path, run: Run, *, approximate: bool) -> Recommender:
    """Load a model, with the index of its folder if lists are to come from there."""
    from shoal.artifact import load
    from shoal.inference.index_files import load_index

    fitted = load(folder, run)
    if approximate:
        load_index(folder).serve(fitted)
    return fitted


def _rules(
    fitted: Recommender, exclude: str, only: str, new_items: bool, include_seen: bool
) -> dict[str, Any]:
    """Which items may be recommended, as keywords of `shoal.recommend`."""
    among = id_list(only) or None
    return {
        "exclude": id_list(exclude),
        "only": _new_items(fitted, among) if new_items else among,
        "exclude_seen": not include_seen,
    }


def _new_items(fitted: Recommender, among: list[str] | None) -> list[Any]:
    """Ids of items without a training user, of all or of those that were named."""
    import numpy as np

    cold = fitted.cold_items
    if cold is None or not cold.any():
        raise ModelError(
            f"{fitted.name} has no items that nobody had in training: l3ae and its kin take them "
            "by their vectors (train --cold-items, or add-items)"
        )
    new = cold.nonzero()[0]
    if among is not None:
        new = np.intersect1d(new, fitted.items.lookup(among))
    return fitted.items.take(new)


def _show_table(table: pl.DataFrame, out: Path | None, as_json: bool) -> None:
    """Write the recommendations of all users to a file, or print them."""
    from shoal.files import write_table

    if out is None:
        if as_json:
            show.as_json(table.to_dicts())
        else:
            show.line(table.write_csv().rstrip("\n"))
        return
    write_table(table, out)
    n_users = table["user"].n_unique()
    if as_json:
        show.as_json({"recommendations": len(table), "users": n_users, "file": str(out)})
    else:
        show.line(f"{len(table):,} recommendations for {n_users:,} users: {out}")
