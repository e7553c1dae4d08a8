"""``prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, RunOptions, Store, takes


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def prune(
    store: Store,
    keep: Annotated[int, typer.Option(help="How many of the newest versions to keep.")] = 5,
    *,
    running: RunOptions,
) -> None:
    """Remove all but the newest versions of a store.

    The live version is never removed, nor the one to which `shoal rollback` would go. A service
    that has loaded a version goes on with it.
    """
    from shoal.artifact import Store
    from shoal.artifact.pointer import version_names

    opened = Store(store)
    removed = opened.prune(keep)
    left = version_names(opened.path)[::-1]
    if running.json_output:
        show.as_json({"store": str(store), "removed": removed, "kept": left})
        return
    for name in removed:
        show.line(f"removed {name}")
    show.line(f"{len(removed):,} removed, {len(left):,} left")
