"""``recommend``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.answering import file_of_ids, ids_of
from shoal.cli.app import app
from shoal.cli.cluster_options import ClusterRankOptions
from shoal.cli.item_rules import ItemRules
from shoal.cli.options import Folder, HowMany, ReadOptions, takes
from shoal.cli.outputs import TableOptions
from shoal.cli.parse import id_list, one_of
from shoal.cli.shards import ShardOptions, check_table_options, recommend_in_parts
from shoal.cli.unused import refuse_without_log
from shoal.errors import HistoryError, ModelError

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions
    from shoal.inference.rules import Fallback
    from shoal.kernels.arrays import Float
    from shoal.run import Run

FALLBACKS: tuple[Fallback, ...] = ("popularity", "none")


@app.command()
@takes(ReadOptions, ItemRules, ClusterRankOptions, TableOptions, ShardOptions)
def recommend(
    model: Folder,
    history: Annotated[str, typer.Option(help="Item ids, comma-separated.")] = "",
    log: Annotated[Path | None, typer.Option(help="Log to take histories from.")] = None,
    user: Annotated[str | None, typer.Option(help="A user of --log; default: all.")] = None,
    k: HowMany = 10,
    because: Annotated[
        bool, typer.Option("--because", help="Say what each item of the history adds to a score.")
    ] = False,
    exclude: Annotated[
        str, typer.Option(help="Ids never to recommend: with commas, or @FILE.")
    ] = "",
    only: Annotated[str, typer.Option(help="Ids to choose among: with commas, or @FILE.")] = "",
    less: Annotated[
        str, typer.Option(help="Ids of which the person wants less: with commas, or @FILE.")
    ] = "",
    new_items: Annotated[
        bool, typer.Option("--new-items", help="Choose among items that nobody had in training.")
    ] = False,
    include_seen: Annotated[
        bool,
        typer.Option(
            "--include-seen", help="Recommend also items of the history, and others seen."
        ),
    ] = False,
    seen: Annotated[
        Path | None,
        typer.Option(help="Another log of what the users of --log have seen and are not to get."),
    ] = None,
    fallback: Annotated[
        str,
        typer.Option(
            help="For histories without a known item: the most popular items, or none.",
            metavar="popularity|none",
        ),
    ] = "popularity",
    steer: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=LEVEL: towards the items of a knob (up to 3) or away from them (down to "
            "-3); `shoal knobs MODEL` names them. Several: give it again.",
            metavar="NAME=LEVEL",
        ),
    ] = None,
    approximate: Annotated[
        bool, typer.Option("--approximate", help="From the index that `shoal index` has made.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="For all users: write to this Parquet or CSV file; or, in parts, to this folder."
        ),
    ] = None,
    *,
    reading: ReadOptions,
    favouring: ItemRules,
    running: ClusterRankOptions,
    writing: TableOptions,
    parts: ShardOptions,
) -> None:
    """Recommend to a history, a user of a log, or all users of a log."""
    from shoal.inference.recommend import recommend as recommend_to_one

    log = parts.log_of(log, user, running.on)
    _refuse_what_does_not_go_together(history, log, user, out, seen, parts)
    refuse_without_log(reading, log)
    inputs = log, model, seen, *map(file_of_ids, (exclude, only, less))
    if parts.in_parts and out is not None:
        check_table_options(writing)
        writing.check_parts(out, *inputs)
    else:
        writing.check(out, *inputs)
    run, as_json = running.run(), running.json_output
    fitted = _load(model, run, approximate=approximate, mapped=parts.in_parts)
    rules = _rules(fitted, exclude, only, new_items, include_seen) | favouring.keywords()
    rules["fallback"] = one_of(fallback, FALLBACKS, "--fallback")
    for_everyone = log is not None and user is None
    if less and for_everyone:
        raise HistoryError("--less is what one person wants less of: give --history or --user")
    if steer:
        rules["steer"] = _shifts(fitted, steer)
    if log is not None and out is not None and parts.in_parts:
        reading = reading.like_training_log(fitted, quiet=as_json)
        recommend_in_parts(
            fitted,
            (model, log, out),
            parts,
            running,
            k=k,
            reading=reading.keywords(run, keep_seen=not include_seen),
            rules=rules,
            because=because,
            seen=seen,
            seen_reading=_reading_of_seen(reading),
            approximate=approximate,
        )
        return
    taken: Any = id_list(history)
    if log is not None:
        # without --out the table goes to standard output, and nothing else
        silent = as_json or (for_everyone and out is None)
        reading = reading.like_training_log(fitted, quiet=silent)
        taken = reading.read(log, run, keep_seen=not include_seen)
        if seen is not None:
            rules["seen"] = _read_seen(seen, reading, run)
        if not silent:
            _say_what_was_seen(taken)
    if for_everyone:
        from shoal.cli.batch import recommend_to_everyone

        recommend_to_everyone(fitted, model, taken, k, rules, because, out, running, writing)
        return
    if less:
        rules["less"] = ids_of(less, "--less")
    rules |= {"user": user, "because": show.how_many_reasons(as_json) if because else False}
    if steer:
        from shoal.steering.cost import steered_list

        steered = steered_list(fitted, taken, k, run=run, **rules)
        recommendations = replace(steered.after, notes=(*steered.after.notes, steered.note))
    else:
        recommendations = recommend_to_one(fitted, taken, k, run=run, **rules)
    show.recommendations(recommendations, as_json)


def _shifts(fitted: Recommender, steer: list[str]) -> Float:
    """The levels of --steer as what `shoal.recommend` takes."""
    from shoal.steering.knobs import knobs

    levels: dict[str, float] = {}
    for text in steer:
        name, _, level = text.rpartition("=")
        name = name.strip()
        try:
            number = float(level)
        except ValueError:
            name = ""
        if not name:
            raise HistoryError(
                f"--steer {text!r:.100}: write NAME=LEVEL, such as --steer 'Comedy=0.5'"
            )
        if name in levels:
            raise HistoryError(f"--steer gives {name!r:.100} twice: give one level")
        levels[name] = number
    return knobs(fitted).shifts(levels)


def _refuse_what_does_not_go_together(
    history: str,
    log: Path | None,
    user: str | None,
    out: Path | None,
    seen: Path | None,
    parts: ShardOptions,
) -> None:
    from shoal.files import check_table

    if bool(history) == bool(log):
        raise HistoryError("give either --history ID,ID,… or --log FILE (with --user for one user)")
    for option, given in (("--user", user), ("--seen", seen)):
        if given is not None and log is None:
            raise HistoryError(f"{option} goes with --log FILE")
    if parts.in_parts and out is None:
        raise HistoryError("lists in parts go into a folder: give --out FOLDER")
    if out is not None:
        if not parts.in_parts:
            check_table(out)
        if log is None or user is not None:
            raise HistoryError("--out goes with --log FILE for all its users; one list is printed")


def _load(folder: Path, run: Run, *, approximate: bool, mapped: bool) -> Recommender:
    """Load a model, with the index of its folder if lists are to come from there."""
    from shoal.artifact import load
    from shoal.inference.index_files import load_index

    fitted = load(folder, run, mapped=mapped)
    if approximate:
        load_index(folder).serve(fitted)
    return fitted


def _read_seen(path: Path, reading: ReadOptions, run: Run) -> Interactions:
    """A log of which each row counts as seen, whatever its value."""
    from shoal.data.read import read

    return read(path, **_reading_of_seen(reading), progress=run.progress)


def _reading_of_seen(reading: ReadOptions) -> dict[str, Any]:
    """Keywords of `shoal.read` for a log of which each row counts as seen."""
    columns = {**_columns(reading), "value": "none", "time": "none"}
    return {"columns": columns, "missing": "drop"}


def _columns(reading: ReadOptions) -> dict[str, str]:
    """The columns of users and items that --columns names."""
    from shoal.cli.parse import pairs

    given = pairs(reading.columns, "--columns")
    return {role: given[role] for role in ("user", "item") if role in given}


def _say_what_was_seen(log: Interactions) -> None:
    """Tell that rows below the threshold count as seen."""
    below = 0 if log.seen is None else len(log.seen) - len(log)
    if below > 0:
        show.line(
            f"{below:,} pairs below --min-value count as seen: they are not recommended "
            "(--include-seen allows them)",
            "dim",
        )


def _rules(
    fitted: Recommender, exclude: str, only: str, new_items: bool, include_seen: bool
) -> dict[str, Any]:
    """Which items may be recommended, as keywords of `shoal.recommend`."""
    among = ids_of(only, "--only") or None
    return {
        "exclude": ids_of(exclude, "--exclude"),
        "only": _new_items(fitted, among) if new_items else among,
        "exclude_seen": not include_seen,
    }


def _new_items(fitted: Recommender, among: list[Any] | None) -> list[Any]:
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
