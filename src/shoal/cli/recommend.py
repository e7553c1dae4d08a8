"""``recommend`` and ``similar``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.app import app
from shoal.cli.options import Folder, LogOptions, RunOptions, id_list, takes
from shoal.errors import HistoryError, ModelError

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender


def _new_items(model: Recommender, among: list[Any] | None) -> list[Any]:
    """Ids of items without a training user, of all or of those that were named."""
    import numpy as np

    cold = model.cold_items
    if cold is None or not cold.any():
        raise ModelError(
            f"{model.name} has no items that nobody had in training: l3ae and its kin take them by "
            "their vectors (train --cold-items, or add-items)"
        )
    new = cold.nonzero()[0]
    if among is not None:
        new = np.intersect1d(new, model.items.lookup(among))
    return model.items.take(new)


@app.command()
@takes(LogOptions, RunOptions)
def recommend(
    model: Folder,
    history: Annotated[str, typer.Option(help="Item ids, comma-separated.")] = "",
    log: Annotated[Path | None, typer.Option(help="Log to take histories from.")] = None,
    user: Annotated[str | None, typer.Option(help="A user of --log; default: all.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
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
    how: LogOptions,
    running: RunOptions,
) -> None:
    """Recommend to a history, a user of a log, or all users of a log."""
    from shoal.artifact import load
    from shoal.cli import show
    from shoal.files import check_table, write_table
    from shoal.inference.recommend import recommend as ask
    from shoal.inference.recommend import recommend_all

    if bool(history) == bool(log):
        raise HistoryError("give either --history ID,ID,… or --log FILE (with --user for one user)")
    if user is not None and log is None:
        raise HistoryError("--user goes with --log FILE")
    everyone = log is not None and user is None
    if out is not None:
        check_table(out)
        if not everyone:
            raise HistoryError("--out goes with --log FILE for all its users; one list is printed")
    if because and everyone:
        raise HistoryError("--because goes with one history: --history, or --log with --user")
    run = running.run()
    fitted = load(model, run)
    if approximate:
        from shoal.inference.index import load_index

        load_index(model).serve(fitted)
    if log is not None:
        how.as_fitted(fitted, quiet=running.json_output)
    left_out = id_list(exclude)
    among = id_list(only) or None
    if new_items:
        among = _new_items(fitted, among)
    if log is not None and everyone:
        interactions = how.read(log, run)
        frame = recommend_all(
            fitted,
            interactions,
            k,
            exclude=left_out,
            only=among,
            exclude_seen=not include_seen,
            run=run,
        )
        if out is not None:
            write_table(frame, out)
            counts = {"recommendations": len(frame), "users": frame["user"].n_unique()}
            if running.json_output:
                show.as_json(counts | {"file": str(out)})
            else:
                show.line(
                    "{:,} recommendations for {:,} users: ".format(*counts.values()) + str(out)
                )
        elif running.json_output:
            show.as_json(frame.to_dicts())
        else:
            show.line(frame.write_csv().rstrip("\n"))
        return
    found = ask(
        fitted,
        how.read(log, run) if log is not None else id_list(history),
        k,
        user=user,
        exclude=left_out,
        only=among,
        exclude_seen=not include_seen,
        because=(True if running.json_output else 3) if because else False,
        run=run,
    )
    if running.json_output:
        show.as_json(show.recommendation_dict(found))
    else:
        show.recommendation_lines(found)


@app.command()
@takes(RunOptions)
def similar(
    model: Folder,
    item: Annotated[str, typer.Argument(help="Item id.")],
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    opposite: Annotated[
        bool,
        typer.Option(
            "--dissimilar", help="Those it speaks against: negative weights of a linear model."
        ),
    ] = False,
    *,
    running: RunOptions,
) -> None:
    """Show the items that the presence of one item speaks for most."""
    from shoal.artifact import load
    from shoal.cli import show
    from shoal.inference.similar import dissimilar
    from shoal.inference.similar import similar as nearest

    run = running.run()
    ask = dissimilar if opposite else nearest
    found = ask(load(model, run), item, k, run=run)
    if running.json_output:
        show.as_json(show.recommendation_dict(found))
    else:
        show.recommendation_lines(found)
