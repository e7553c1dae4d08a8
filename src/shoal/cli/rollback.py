"""``rollback``."""

from __future__ import annotations

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, RunOptions, Store, takes
from shoal.cli.versions import version_dict, version_lines


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def rollback(store: Store, *, running: RunOptions) -> None:
    """Make the version live that was live before; a second time, the one before that.

    Versions that were pruned or are broken are passed over.
    """
    from shoal.artifact import Store

    version = Store(store).rollback()
    if running.json_output:
        show.as_json(version_dict(version) | {"store": str(store)})
        return
    version_lines(version)
