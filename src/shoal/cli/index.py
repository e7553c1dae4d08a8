"""``index``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.options import OF_TRAINING, Folder, LogOptions, RunOptions, takes


@app.command()
@takes(LogOptions, RunOptions, hide=OF_TRAINING)
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
    reading: LogOptions,
    running: RunOptions,
) -> None:
    """Index a model's vectors for `shoal recommend --approximate`; kept in the model's folder."""
    from shoal.artifact import load
    from shoal.inference.index import build_index, faiss_or_advice
    from shoal.inference.index_files import save_index

    faiss_or_advice()
    run = running.run()
    fitted = load(model, run)
    reading = reading.like_training_log(fitted, quiet=running.json_output)
    fitted.vector_model.vectors()  # refuse a model without vectors before the log is read
    interactions = reading.read(log, run)
    built = build_index(
        fitted,
        interactions,
        kind=cast(Any, kind),  # `build_index` refuses a kind that is none
        k=k,
        sample=sample,
        run=run,
    )
    file = save_index(built, model)
    facts = built.facts
    if running.json_output:
        show.as_json(asdict(facts) | {"file": str(file)})
        return
    show.line(
        f"{facts.kind} index of {facts.n_items:,} vectors of {facts.width}: "
        f"{facts.build_seconds:.1f} s"
    )
    show.line(
        f"recall {facts.recall:.4f} of the exact lists of {facts.k}, over {facts.histories:,} "
        f"histories; {facts.index_seconds:.2f} s where all scores took {facts.exact_seconds:.2f} s"
    )
    item = suggest.id_list(fitted.items.take([0]))
    folder = suggest.file(model)
    few = ["-k", fitted.n_items] if fitted.n_items < 10 else []  # it lists 10, if not told
    next_command = suggest.command("recommend", folder, "--history", item, *few, "--approximate")
    show.line(f"saved to {file}")
    show.line(f"next: {next_command}", "dim")
