"""``versions``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, RunOptions, Store, takes
from shoal.run import human_bytes

if TYPE_CHECKING:
    from shoal.artifact import Version


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def versions(
    store: Store,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the hashes of all files, too.")
    ] = False,
    *,
    running: RunOptions,
) -> None:
    """List the versions in a store, the newest first, and say which one is live.

    A version that cannot be used is listed with the reason.
    """
    from rich.table import Table

    from shoal.artifact import Store

    opened = Store(store)
    listed = opened.versions(verify=verify)
    if running.json_output:
        live = next((v.name for v in listed if v.live), None)
        show.as_json(
            {"store": str(store), "live": live, "versions": [version_dict(v) for v in listed]}
        )
        return
    if not listed:
        show.line(f"{store} holds no version yet: shoal publish MODEL {store}")
        return
    table = Table("", "version", "fitted", "items", "size", "metrics", "note", box=None)
    for version in listed:
        table.add_row(
            "live" if version.live else "",
            version.name,
            show.moment(version.created),
            "" if version.error else f"{version.n_items:,}",
            "" if version.error else human_bytes(version.bytes),
            metrics_text(version),
            version.note,
        )
    show.print_table(table)
    for version in listed:
        if version.error:
            show.line(f"{version.name} cannot be used: {version.error}", "yellow")
    if not any(version.live for version in listed):
        show.line(why_none_is_live(opened), "yellow")


def why_none_is_live(store: Any) -> str:
    """Why no version that is listed is live, as the store says it."""
    from shoal.artifact import live_folder
    from shoal.errors import ArtifactError

    try:
        live_folder(store.path)
    except ArtifactError as error:
        return str(error)
    return ""


def version_dict(version: Version) -> dict[str, Any]:
    """A version as plain data for JSON."""
    return asdict(version) | {"version": version.name, "error": version.error or None}


def version_lines(version: Version) -> None:
    """Print what a version is and whether it is live."""
    state = "is live" if version.live else "is not live"
    show.line(f"{version.name} {state}", "bold")
    parameters = show.parameters_text(version.parameters or {})
    size = f"{version.n_items:,} items, {human_bytes(version.bytes)}"
    show.line(f"{version.model} {parameters}".strip() + f": {size}, fitted {version.created}")


def metrics_text(version: Version) -> str:
    """The metrics that were kept with a version: the first two, in one line."""
    scores = (version.metrics or {}).get("metrics")
    if not isinstance(scores, dict):
        return ""
    means = [
        f"{name} {score['mean']:.4f}"
        for name, score in scores.items()
        if isinstance(score, dict) and isinstance(score.get("mean"), int | float)
    ]
    return ", ".join(means[:2])
