"""Recommendations for all users of a log, as a file or on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.cli import show

if TYPE_CHECKING:
    import polars as pl

    from shoal.base.recommender import Recommender
    from shoal.cli.answering import RankOptions
    from shoal.cli.outputs import TableOptions
    from shoal.data.interactions import Interactions


def recommend_to_everyone(
    model: Recommender,
    folder: Path,
    log: Interactions,
    k: int,
    rules: dict[str, Any],
    because: bool,
    out: Path | None,
    running: RankOptions,
    writing: TableOptions,
) -> None:
    """Recommend to all users of a log, write or print the table, and say who got what.

    Parameters
    ----------
    model : Recommender
    folder : Path
        Where the model was loaded from.
    log : Interactions
    k : int
    rules : dict
        Keywords of `recommend_all`.
    because : bool
        With reasons.
    out : Path or None
        A Parquet or CSV file; None prints the table.
    running : RankOptions
    writing : TableOptions
    """
    from shoal.artifact import content_of
    from shoal.files import write_table
    from shoal.inference.everyone import recommend_all
    from shoal.inference.list_columns import with_origin, with_titles
    from shoal.inference.rules import allowed_items

    table = recommend_all(
        model, log, k, because=because and _reasons(out, running), run=running.run(), **rules
    )
    table = with_titles(table, model)
    named = {name: rules.get(name) for name in ("only", "filter")}
    notes = [*allowed_items(model, rules["exclude"], **named).notes]
    notes += _about_users(model, log, rules["fallback"])
    below = 0 if log.seen is None else len(log.seen) - len(log)
    n_users = table["user"].n_unique()
    if out is None:
        if running.json_output:
            show.as_json(table.to_dicts())
        else:
            table = with_origin(
                table, model.name, *content_of(folder)
            )  # printed lists are the bytes of a file
            show.csv(_flat(table), guard_formulas=writing.guard_formulas)
        for note in notes:
            show.aside(note)
        return
    table = with_origin(table, model.name, *content_of(folder))
    flat = _flat(table) if out.suffix == ".csv" else table
    write_table(flat, out, guard_formulas=writing.guard_formulas)
    if running.json_output:
        fallback_users = 0
        if "fallback" in table.columns:
            fallback_users = table.filter(table["fallback"])["user"].n_unique()
        counts = {"recommendations": len(table), "users": n_users, "file": str(out)}
        counts |= {"users_of_log": log.n_users, "users_by_fallback": fallback_users}
        show.as_json(counts | {"pairs_seen_below_threshold": below, "notes": notes})
        return
    for note in notes:
        show.line(note, "yellow")
    show.line(f"{len(table):,} recommendations for {n_users:,} users: {out}")


def _reasons(out: Path | None, running: RankOptions) -> bool | int:
    """How many reasons: all for programs, the strongest three where people read."""
    for_people = not running.json_output and (out is None or out.suffix == ".csv")
    return 3 if for_people else True


def _about_users(model: Recommender, log: Interactions, fallback: str) -> list[str]:
    """How many users have no item that the model knows, and what they got."""
    from shoal.inference.everyone import users_with_history

    rows = model.histories(log.onto_items(model.items))
    n_without = int((~users_with_history(model, rows)).sum())
    notes = []
    if n_without:
        verb = "has" if n_without == 1 else "have"
        answered = fallback == "popularity" and model.item_counts is not None
        what = (
            "they get the most popular items, marked `fallback` (--fallback none leaves them out)"
            if answered
            else "they get nothing"
        )
        notes.append(
            f"{n_without:,} of {log.n_users:,} users {verb} no item that the model knows: {what}"
        )
    if log.seen is not None:
        n_only_seen = len(log.seen.users) - int((log.users.match(log.seen.users) >= 0).sum())
        if n_only_seen:
            notes.append(
                f"{n_only_seen:,} more users have no row that reaches --min-value: left out"
            )
    return notes


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    """The table without nested columns, as CSV needs it: reasons as ``+0.41 ID; +0.2 ID``."""
    import polars as pl

    if "because" not in table.columns:
        return table
    texts = [
        "; ".join(f"{reason['contribution']:+.4g} {reason['item']}" for reason in reasons)
        for reasons in table["because"].to_list()
    ]
    return table.with_columns(pl.Series("because", texts, pl.String))
