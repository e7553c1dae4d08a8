"""What ``shoal info`` and ``shoal data`` print."""

from __future__ import annotations

import inspect
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from shoal._version import __version__
from shoal.cli import show
from shoal.data.interactions import Interactions
from shoal.run import Run, available_memory, human_bytes

PARTS = ("numpy", "scipy", "numba", "polars", "pydantic", "safetensors", "torch")


def describe(what: str | None, as_json: bool) -> None:
    """A model folder if there is one of that name, else a model, else this installation."""
    if what is None:
        _installation(as_json)
    elif Path(what).exists() or "/" in what:
        _folder(Path(what), as_json)
    else:
        _model(what, as_json)


def _installation(as_json: bool) -> None:
    from threadpoolctl import threadpool_info

    from shoal.kernels.threads import cores
    from shoal.models.registry import models

    versions = {}
    for part in PARTS:
        try:
            versions[part] = version(part)
        except PackageNotFoundError:
            versions[part] = "not installed"
    blas = sorted({f"{p['internal_api']} {p['version']}" for p in threadpool_info()})
    summary = {name: (m.__doc__ or "").split("\n")[0] for name, m in models().items()}
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
    show.line(", ".join(f"{k} {v}" for k, v in versions.items()))
    show.line(f"BLAS: {', '.join(blas)}")
    table = Table("model", "", box=None, pad_edge=False)
    for name, text in summary.items():
        table.add_row(name, text)
    show.console.print(table)
    show.line("`shoal info MODEL` gives its hyper-parameters", "dim")


def _model(name: str, as_json: bool) -> None:
    from shoal.models.registry import by_name

    model = by_name(name)
    schema = model.model_json_schema()
    if as_json:
        show.as_json({"model": model.name, "schema": schema})
        return
    show.line(model.name, "bold")
    show.line("  " + (inspect.getdoc(inspect.getmodule(model)) or "").split("\n")[0])
    show.line((model.__doc__ or "").strip().replace("\n    ", "\n"))
    if not model.model_fields:
        show.line("No hyper-parameters.")
        return
    table = Table("--set", "default", "search", "", box=None, pad_edge=False)
    for field, p in schema["properties"].items():
        search = "{} … {} ({})".format(*p["search"], p["scale"]) if "search" in p else ""
        table.add_row(field, str(p.get("default", "")), search, p.get("description", ""))
    show.console.print(table)


def _folder(path: Path, as_json: bool) -> None:
    from shoal.artifact import verify

    manifest = verify(path)
    if as_json:
        show.as_json(manifest)
        return
    size = sum(f["bytes"] for f in manifest["files"].values())
    show.line(f"{manifest['model']} {show.parameters_text(manifest['parameters'])}", "bold")
    show.line(f"{manifest['data']['items']:,} items, {human_bytes(size)}, {manifest['created']}")
    show.line(f"shoal {manifest['shoal']}, format {manifest['format']}")
    show.line(f"training data sha256 {manifest['data']['fingerprint']}")
    for name, value in manifest["facts"].items():
        show.line(f"{name}: {value:.4g}")
    found = manifest.get("metrics") or {}
    if found:
        show.line(f"evaluated: {found['protocol']}")
        for name, score in found["metrics"].items():
            show.line(f"  {name} {score['mean']:.4f}")


def describe_log(log: Interactions, as_json: bool) -> None:
    """Sizes, skew, and the first rows."""
    lengths, counts = np.diff(log.indptr), log.item_counts
    top = np.sort(counts)[::-1][: max(1, log.n_items // 100)].sum() / len(log)
    facts: dict[str, Any] = {
        "items_per_user": dict(zip(("min", "median", "max"), _spread(lengths), strict=True)),
        "users_per_item": dict(zip(("min", "median", "max"), _spread(counts), strict=True)),
        "share_of_top_1_percent_items": round(float(top), 4),
        "ranges": {
            name: [column.min().item(), column.max().item()]
            for name, column in (("values", log.values), ("times", log.times))
            if column is not None
        },
    }
    if as_json:
        show.as_json(show.log_dict(log) | facts)
        return
    show.log_lines(log)
    for name in ("items_per_user", "users_per_item"):
        spread = facts[name]
        show.line(f"{name.replace('_', ' ')}: {spread['min']} … {spread['max']}, "
                  f"median {spread['median']}")  # fmt: skip
    show.line(f"the most popular 1 % of items hold {100 * top:.0f} % of the interactions")
    for name, span in facts["ranges"].items():
        show.line(f"{name}: {span[0]} … {span[1]}")
    show.line(f"users: {log.users!r}")
    show.line(f"items: {log.items!r}")


def _spread(counts: Any) -> tuple[int, int, int]:
    return int(counts.min()), int(np.median(counts)), int(counts.max())


def list_data(as_json: bool) -> None:
    """The catalogue of public data sets."""
    from shoal.datasets import fetch as catalogue

    entries = catalogue.entries()
    if as_json:
        show.as_json(
            [
                {
                    "name": e.name,
                    "title": e.title,
                    "homepage": e.homepage,
                    "licence": e.licence,
                    "rows": e.rows,
                    "users": e.users,
                    "items": e.items,
                }
                for e in entries
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "rows", "users", "items", "title"):
        table.add_column(column, overflow="fold")
    families: dict[str, int] = {}
    for e in entries:
        family, colon, _ = e.name.partition(":")
        if colon:  # one line for the many categories of a family
            families[family] = families.get(family, 0) + 1
            continue
        table.add_row(e.name, *(f"{n:,}" if n else "" for n in (e.rows, e.users, e.items)), e.title)
    show.console.print(table)
    for family, count in families.items():
        example = next(e for e in entries if e.name.startswith(family + ":"))
        show.line(f"{family}:CATEGORY  {count} categories, such as {example.name}")
    show.line("`shoal data fetch NAME` downloads one; licences: --json", "dim")


def fetch_data(
    name: str, to: Path, source: Path | None, mirror: str | None, run: Run, as_json: bool
) -> None:
    """Fetch a public data set and say where it is and under which terms."""
    from shoal.datasets import fetch as catalogue

    found = catalogue.fetch(name, to, source=source, progress=run.progress, base_url=mirror)
    if as_json:
        show.as_json(
            {
                "folder": str(found.folder),
                "files": [str(f) for f in found.files],
                "rows": found.rows,
                "notes": list(found.notes),
            }
        )
        return
    for file in found.files:
        show.line(str(file))
    for note in found.notes:
        show.line(note, "dim")
