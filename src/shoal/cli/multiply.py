"""``multiply``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import RunOptions, takes
from shoal.errors import ModelError


@app.command()
@takes(RunOptions)
def multiply(
    models: Annotated[list[Path], typer.Argument(help="Model folders, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder to write the product to.")],
    *,
    running: RunOptions,
) -> None:
    """Join fitted models into their product, an ensemble in which each member may veto."""
    from shoal.artifact import check_target, load, save
    from shoal.models.registry import by_name

    if len(models) < 2:
        raise ModelError("name two model folders or more")
    check_target(out)
    run = running.run()
    kind: Any = by_name("product")
    product = kind.of(*(load(folder, run) for folder in models))
    save(product, out)
    if running.json_output:
        show.as_json({"model": product.name, "parts": product.parts, "folder": str(out)})
        return
    show.line(f"{product.name} of {' and '.join(m.name for m in product.members)}", "bold")
    show.line(f"saved to {out}")
