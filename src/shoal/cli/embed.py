"""``embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import OF_TRAINING, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.errors import DataError

PANEL = "Language models and endpoints"


@app.command()
@takes(RunOptions, OutputOptions, hide=OF_TRAINING)
def embed(
    items: Annotated[Path, typer.Argument(help="Table of items (CSV, Parquet, …), a row each.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write: item, vector.")],
    template: Annotated[
        str, typer.Option(help='Text of an item from its columns: "{title}. {genres}".')
    ] = "",
    embedder: Annotated[
        str,
        typer.Option(
            help="What turns texts into vectors, or a file with vectors.",
            metavar="tfidf|sentence-transformers:MODEL|https://HOST/v1#MODEL|FILE",
        ),
    ] = "tfidf",
    item: Annotated[
        str | None, typer.Option(help="The id column, if it has no usual name.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(help="Of a .npy file, if it is not in the order of the items.")
    ] = None,
    dimension: Annotated[int | None, typer.Option(help="Numbers in a vector.")] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder to keep vectors in; none: no cache.", rich_help_panel=PANEL),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Texts in one go.", rich_help_panel=PANEL)
    ] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(
            help="Environment variable with the key; default: OPENAI_API_KEY if it is set.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    requests_per_minute: Annotated[
        float | None, typer.Option(help="At most.", rich_help_panel=PANEL)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds of silence.", rich_help_panel=PANEL)
    ] = None,
    *,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """Turn the texts of items into vectors."""
    from shoal.data.vector_files import ENDINGS
    from shoal.data.vectors import check_target
    from shoal.text.embed import embed as embed_items
    from shoal.text.embedder import Embedder
    from shoal.text.open import open_embedder

    check_target(out)
    writing.check(out, items, ids, Path(embedder) if Path(embedder).exists() else None)
    run = running.run()
    settings = {
        "dimension": dimension,
        "batch_size": batch_size,
        "key_variable": key_variable,
        "requests_per_minute": requests_per_minute,
        "timeout": timeout,
    }
    source: str | Embedder = embedder  # a file of vectors, or what makes them
    if Path(embedder).suffix.lower() not in ENDINGS:
        source = open_embedder(embedder, run, **settings)
    elif unused := [name for name, value in settings.items() if value is not None]:
        raise DataError(f"{embedder} holds vectors, which have no setting {unused[0]!r}")
    vectors = embed_items(
        items, template=template, embedder=source, item=item, ids=ids, cache=cache, run=run
    )
    vectors.write(out)
    if running.json_output:
        show.as_json(
            {
                "file": str(out),
                "items": len(vectors),
                "dimension": vectors.dimension,
                "without_vector": int((~vectors.there).sum()),
                "embedder": vectors.embedder,
                "template": vectors.template,
                "sha256": vectors.fingerprint(),
                "notes": list(vectors.notes),
            }
        )
        return
    for note in vectors.notes:
        show.line(note, "yellow")
    show.line(f"{len(vectors):,} items × {vectors.dimension:,} by {vectors.embedder}: {out}")
