"""The program: what it is called, and which commands it has."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

# modules of this package, one for each command, in the order in which --help lists them
COMMANDS = (
    *("train", "evaluate", "compare", "tune"),
    *("run", "runs", "report", "reproduce"),
    *("recommend", "similar", "complement", "rank", "explain", "predict", "knobs"),
    *("vectors", "index", "map", "multiply"),
    *("plan", "generate", "bucket", "embed", "info", "demo", "add_items", "update"),
    *("data", "events", "online", "validate", "schema"),
    *("publish", "versions", "activate", "rollback", "prune", "refresh", "serve", "doctor"),
)

app = typer.Typer(
    name="shoal",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Recommenders built from autoencoders: train, evaluate, compare, explain.",
    epilog="Start with: shoal demo",
)


def _version(wanted: bool) -> None:
    if wanted:
        from shoal._version import __version__

        typer.echo(f"shoal {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
) -> None:
    pass


def program() -> typer.Typer:
    """The program with all its commands."""
    # each module adds its command as it is imported; heavy imports wait inside the commands
    for name in COMMANDS:
        import_module(f"shoal.cli.{name}")
    return app
