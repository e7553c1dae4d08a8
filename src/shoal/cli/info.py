"""``info``."""

from __future__ import annotations

import inspect
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from shoal._version import __version__
from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.options import ALL_BUT_JSON, RunOptions, takes
from shoal.run import available_memory, human_bytes

PACKAGES = ("numpy", "scipy", "numba", "polars", "pydantic", "safetensors", "torch")


@app.command()
@takes(RunOptions, hide=ALL_BUT_JSON)
def info(
    what: Annotated[
        str | None, typer.Argument(help="A model folder or a model's name; default: all.")
    ] = None,
    *,
    running: RunOptions,
) -> None:
    """Describe a model folder, a model's hyper-parameters, or this installation."""
    if what is None:
        _installation(running.json_output)
    elif Path(what).exists() or "/" in what:
        _folder(Path(what), running.json_output)
    else:
        _model(what, running.json_output)


def _installation(as_json: bool) -> None:
    """Print versions, processor, memory and all models."""
    from rich.table import Table
    from threadpoolctl import threadpool_info

    from shoal.kernels.threads import cores
    from shoal.models.registry import models

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    blas = sorted({f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info()})
    summary = {name: (model.__doc__ or "").split("\n")[0] for name, model in models().items()}
    if as_json:
        show.as_json(
            {
                "shoal": __version__,
                "python": platform.python_version(),
                "cores": cores(),
                "memory": available_memory(),
                "versions": versions,
                "blas": blas,
                "models": summary,
            }
        )
        return
    show.line(f"shoal {__version__}, Python {platform.python_version()}", "bold")
    show.line(f"{cores()} cores, {human_bytes(available_memory())} of memory free")
    show.line(", ".join(f"{package} {number}" for package, number in versions.items()))
    show.line(f"BLAS: {', '.join(blas)}")
    table = Table("model", "", box=None, pad_edge=False)
    for name, text in summary.items():
        table.add_row(name, text)
    show.print_table(table)
    show.line("`shoal info MODEL` gives its hyper-parameters", "dim")


def _model(name: str, as_json: bool) -> None:
    """Print what a model is and its hyper-parameters."""
    from rich.table import Table

    from shoal.models.registry import by_name

    model = by_name(name)
    schema = model.model_json_schema()
    if as_json:
        show.as_json({"model": model.name, "schema": schema})
        return
    show.line(model.name, "bold")
    show.line("  " + (inspect.getdoc(inspect.getmodule(model)) or "").split("\n")[0])
    show.paragraph((model.__doc__ or "").strip().replace("\n    ", "\n"))
    if not model.model_fields:
        show.line("No hyper-parameters.")
        return
    table = Table("--set", "default", "search", "", box=None, pad_edge=False)
    for field, about in schema["properties"].items():
        search = ""
        if "search" in about:
            low, high = about["search"]
            search = f"{low} … {high} ({about['scale']})"
        table.add_row(field, str(about.get("default", "")), search, about.get("description", ""))
    show.print_table(table)


def _folder(path: Path, as_json: bool) -> None:
    """Print what a model folder says of itself, once its files are whole."""
    from shoal.artifact import verify

    manifest = verify(path)
    if as_json:
        show.as_json(manifest)
        return
    size = sum(file["bytes"] for file in manifest["files"].values())
    show.line(f"{manifest['model']} {show.parameters_text(manifest['parameters'])}", "bold")
    show.line(f"{manifest['data']['items']:,} items, {human_bytes(size)}, {manifest['created']}")
    show.line(f"shoal {manifest['shoal']}, format {manifest['format']}")
    show.line(f"training data sha256 {manifest['data']['fingerprint']}")
    for name, value in manifest["facts"].items():
        show.line(f"{name}: {value:.4g}")
    evaluation = manifest.get("metrics") or {}
    if "metrics" in evaluation:
        show.line(f"evaluated: {evaluation['protocol']}")
        for name, score in evaluation["metrics"].items():
            mean = score["mean"]  # None where no user had an item of its group
            show.line(f"  {name} {'–' if mean is None else f'{mean:.4f}'}")
