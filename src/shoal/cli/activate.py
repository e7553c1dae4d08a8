"""``activate``."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, RunOptions, Store, takes
from shoal.cli.versions import version_dict, version_lines


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def activate(
    store: Store,
    version: Annotated[str, typer.Argument(help="Its name, as `shoal versions` lists it.")],
    *,
    running: RunOptions,
) -> None:
    """Make a version of a store the live one, after all of it was checked.

    A version that is broken is refused, and the live one stays as it is.
    """
    from shoal.artifact import Store

    activated = Store(store).activate(version)
    if running.json_output:
        show.as_json(version_dict(activated) | {"store": str(store)})
        return
    version_lines(activated)
