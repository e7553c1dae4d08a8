"""``multiply``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import OF_A_FIT, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.errors import ModelError


@app.command()
@takes(RunOptions, OutputOptions, hide=(*OF_A_FIT, "threads", "device"))
def multiply(
    models: Annotated[list[Path], typer.Argument(help="Model folders, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder to write the product to.")],
    *,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """Join fitted models into their product, an ensemble in which each member may veto."""
    from shoal.artifact import load, save
    from shoal.models.registry import by_name

    if len(models) < 2:
        raise ModelError("name two model folders or more")
    writing.check_folder(out, *models)
    run = running.run()
    kind: Any = by_name("product")
    product = kind.of(*(load(folder, run) for folder in models))
    save(product, out)
    if running.json_output:
        show.as_json({"model": product.name, "parts": product.parts, "folder": str(out)})
        return
    show.line(f"{product.name} of {' and '.join(m.name for m in product.members)}", "bold")
    show.line(f"saved to {out}")
