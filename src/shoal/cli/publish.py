"""``publish``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, Folder, RunOptions, takes
from shoal.cli.versions import version_dict, version_lines


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def publish(
    model: Folder,
    store: Annotated[Path, typer.Argument(help="Store of versions; made if there is none.")],
    activate: Annotated[
        bool,
        typer.Option("--activate/--no-activate", help="Whether it becomes the live version."),
    ] = True,
    note: Annotated[str, typer.Option(help="A few words to keep with the version.")] = "",
    *,
    running: RunOptions,
) -> None:
    """Copy a model folder into a store as its newest version, and make it the live one.

    The folder is checked first, and the store holds the whole version or nothing of it. A service
    that runs on the store takes the new version by itself.
    """
    from shoal.artifact import Store, check_new_store, verify

    check_new_store(store)
    verify(model)  # before a store is made
    version = Store(store, create=True).publish(model, activate=activate, note=note)
    if running.json_output:
        show.as_json(version_dict(version) | {"store": str(store)})
        return
    version_lines(version)
    words = ["versions"] if activate else ["activate"]
    follows = [suggest.file(store)] if activate else [suggest.file(store), version.name]
    show.line(f"next: {suggest.command(*words, *follows)}", "dim")
