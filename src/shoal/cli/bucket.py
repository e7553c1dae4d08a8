"""``bucket``."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, Log, RunOptions, takes
from shoal.cli.outputs import refuse_an_input
from shoal.cli.parse import pairs
from shoal.cli.text_options import TextOptions
from shoal.run import human_bytes


@app.command()
@takes(TextOptions, RunOptions, hide=ALL_BUT_JSON)
def bucket(
    log: Log,
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    buckets: Annotated[int, typer.Option(help="Number of files.")] = 64,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that shoal bucket wrote.")
    ] = False,
    columns: Annotated[
        str, typer.Option(help="Which column has the users, if it has no usual name: user=….")
    ] = "",
    *,
    text: TextOptions,
    running: RunOptions,
) -> None:
    """Write a log as Parquet files that each have all rows of some of the users.

    Every command reads such a folder as a log, with the result of the log itself; machines of a
    cluster read a file each.
    """
    from shoal.cli.progress import progress
    from shoal.data.bucketing import bucket as write_buckets
    from shoal.data.bucketing import check_new_folder

    refuse_an_input(out, (log,))
    check_new_folder(out, overwrite=overwrite)
    began = perf_counter()
    manifest = write_buckets(
        log,
        out,
        buckets,
        columns=pairs(columns, "--columns"),
        **text.text_rules(),
        overwrite=overwrite,
        progress=progress(running.json_output),
    )
    seconds, size = perf_counter() - began, sum(file.bytes for file in manifest.files)
    if running.json_output:
        show.as_json(
            {
                "folder": str(out),
                "user": manifest.user,
                "rows": manifest.rows,
                "files": len(manifest.files),
                "bytes": size,
                "seconds": round(seconds, 3),
            }
        )
        return
    show.line(
        f"{out}: {manifest.rows:,} rows by {manifest.user} in {len(manifest.files):,} files, "
        f"{human_bytes(size)}, {seconds:.1f} s"
    )
    for note in manifest.notes:
        show.line(note, "dim")
    next_command = suggest.command("train", suggest.file(out), "--out", "model")
    show.line(f"next: {next_command}", "dim")
