"""``schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import takes
from shoal.cli.outputs import OutputOptions
from shoal.cli.parse import one_of

if TYPE_CHECKING:
    from shoal.policy.draft7 import Schema

KINDS = ("experiment", "policy", "refresh")


@app.command()
@takes(OutputOptions)
def schema(
    kind: Annotated[
        str, typer.Argument(help="Of which files.", metavar="experiment|policy|refresh")
    ] = "experiment",
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default it is printed.")
    ] = None,
    example: Annotated[
        Path | None,
        typer.Option(help="Write an experiment to begin with instead, and its schema beside it."),
    ] = None,
    *,
    writing: OutputOptions,
) -> None:
    """Print the JSON Schema (draft 7) of a kind of files, by which editors complete and check them.

    Name it in the first line of a file: # yaml-language-server: $schema=experiment.schema.json
    """
    from shoal.errors import DataError
    from shoal.files import check_table, replacing

    one_of(kind, KINDS, "the kind of files")
    if example is not None:
        from shoal.experiments.files.resolved import SCHEMA_FILE, write_example

        if out is not None or kind != "experiment":
            raise DataError("--example writes an experiment and its schema: leave the others out")
        check_table(example, (".yaml", ".yml"))
        writing.check(example)
        write_example(example)
        show.line(f"{example} and {example.with_name(SCHEMA_FILE)}")
        return
    text = json.dumps(_schema(kind), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        writing.check(None)
        typer.echo(text, nl=False)
        return
    check_table(out, (".json",))
    if not _is_schema(out):
        writing.check(out)
    with replacing(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    show.line(f"{out}: the first line of a file names it: # yaml-language-server: $schema={out}")


def _schema(kind: str) -> Schema:
    """The schema of a kind of files."""
    if kind == "experiment":
        from shoal.experiments.files.schema import experiment_schema

        return experiment_schema()
    if kind == "policy":
        from shoal.policy.schema import policy_schema

        return policy_schema()
    from shoal.refresh.schema import refresh_schema

    return refresh_schema()


def _is_schema(path: Path) -> bool:
    """Whether a file is a schema that shoal wrote earlier, which may be replaced."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(content, dict) and str(content.get("title", "")).startswith("shoal ")
    except (OSError, ValueError, RecursionError):
        return False
