"""``vectors`` and ``index``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.app import app
from shoal.cli.options import Folder, LogOptions, RunOptions, takes


@app.command()
@takes(LogOptions, RunOptions)
def vectors(
    model: Folder,
    out: Annotated[Path, typer.Option(help="File to write: .parquet, or .npy.")],
    log: Annotated[
        Path | None, typer.Option(help="Vectors of this log's users instead of the items'.")
    ] = None,
    *,
    how: LogOptions,
    running: RunOptions,
) -> None:
    """Write a model's item vectors, or those of histories, for a search engine of your own.

    A history's vector times an item's is the item's score. A .npy file has the numbers alone; ids
    go to a .parquet file beside it.
    """
    import polars as pl

    from shoal.artifact import load
    from shoal.cli import show
    from shoal.files import check_vectors, write_vectors

    check_vectors(out)
    run = running.run()
    fitted = load(model, run)
    if log is None:
        role, ids, found = "item", fitted.items.series, fitted.vectors()
    else:
        how.as_fitted(fitted, quiet=running.json_output)
        own = how.read(log, run)
        rows = fitted.histories(own.onto_items(fitted.items))
        role, ids, found = "user", own.users.series, fitted.user_vectors(rows)
    files = write_vectors(pl.Series(role, ids), found, out)
    if running.json_output:
        rows_, width = found.shape
        show.as_json({"of": role, "rows": rows_, "width": width, "files": [str(f) for f in files]})
        return
    show.line(f"{len(found):,} {role}s, {found.shape[1]} numbers each: " + str(out))


@app.command()
@takes(LogOptions, RunOptions)
def index(
    model: Folder,
    log: Annotated[Path, typer.Option(help="Log whose histories its recall is measured on.")],
    kind: Annotated[
        str | None,
        typer.Option(help="Default: by the size of the catalogue.", metavar="flat|hnsw|ivf"),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Length of the lists it is measured on.")] = 100,
    sample: Annotated[int, typer.Option(help="How many of the log's users.")] = 1000,
    *,
    how: LogOptions,
    running: RunOptions,
) -> None:
    """Index a model's vectors for `shoal recommend --approximate`; kept in the model's folder."""
    from dataclasses import asdict

    from shoal.artifact import load
    from shoal.cli import show
    from shoal.inference.index import build_index, faiss_or_advice, save_index

    faiss_or_advice()
    run = running.run()
    fitted = load(model, run)
    how.as_fitted(fitted, quiet=running.json_output)
    fitted.vectors()  # refuses before the log is read
    made = build_index(fitted, how.read(log, run), kind=kind, k=k, sample=sample, run=run)  # type: ignore[arg-type]
    file = save_index(made, model)
    if running.json_output:
        show.as_json(asdict(made.facts) | {"file": str(file)})
        return
    f = made.facts
    show.line(f"{f.kind} index of {f.n_items:,} vectors of {f.width}: {f.build_seconds:.1f} s")
    show.line(
        f"recall {f.recall:.4f} of the exact lists of {f.k}, over {f.histories:,} histories; "
        f"{f.index_seconds:.2f} s where all scores took {f.exact_seconds:.2f} s"
    )
    show.line(f"saved to {file}; next: shoal recommend {model} --approximate …", "dim")
