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
        str | None,
        typer.Option(
            help="What turns texts into vectors, or a file with vectors; tfidf unless given.",
            metavar="tfidf|sentence-transformers:MODEL|https://HOST/v1#MODEL|FILE",
        ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--with",
            help="Vectors made before: embed in their space, by their embedder and template.",
            metavar="VECTORS",
        ),
    ] = None,
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
    from shoal.data.embedder_files import beside
    from shoal.data.vector_files import ENDINGS
    from shoal.data.vectors import check_target
    from shoal.text.embed import embed as embed_items
    from shoal.text.embedder import Embedder
    from shoal.text.open import open_embedder

    made = Path(embedder) if embedder and Path(embedder).exists() else None
    writing.check(out, items, like, ids, made)
    check_target(out, overwrite=True)  # what may be replaced was checked before
    run = running.run()
    settings = {
        "dimension": dimension,
        "batch_size": batch_size,
        "key_variable": key_variable,
        "requests_per_minute": requests_per_minute,
        "timeout": timeout,
    }
    given = [name for name, value in settings.items() if value is not None]
    source: str | Embedder | None = embedder  # a file of vectors, or what makes them
    if embedder is not None and Path(embedder).suffix.lower() in ENDINGS:
        if given:
            raise DataError(f"{embedder} holds vectors, which have no setting {given[0]!r}")
    elif embedder is not None or like is None:
        if like is not None and embedder == "tfidf" and given:
            raise DataError(f"--with {like} says all settings of tfidf: leave out {given[0]!r}")
        source = "tfidf" if embedder is None else embedder
        if like is None or source != "tfidf":
            source = open_embedder(source, run, **settings)
    elif given:
        raise DataError(f"--with {like} says all settings: leave out {given[0]!r}")
    vectors = embed_items(
        items, template=template, embedder=source, like=like, item=item, ids=ids, cache=cache,
        run=run,
    )  # fmt: skip
    vectors.write(out, overwrite=True)
    embedder_file = str(beside(out)) if vectors.fitted else None
    if running.json_output:
        show.as_json(
            {
                "file": str(out),
                "items": len(vectors),
                "dimension": vectors.dimension,
                "without_vector": int((~vectors.there).sum()),
                "embedder": vectors.embedder,
                "embedder_file": embedder_file,
                "space": vectors.space,
                "template": vectors.template,
                "sha256": vectors.fingerprint(),
                "notes": list(vectors.notes),
            }
        )
        return
    for note in vectors.notes:
        show.line(note, "yellow")
    show.line(f"{len(vectors):,} items × {vectors.dimension:,} by {vectors.embedder}: {out}")
    if embedder_file:
        show.line(f"the embedder, for further items (--with {out}): {embedder_file}", "dim")
