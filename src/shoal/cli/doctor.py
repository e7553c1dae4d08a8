"""``doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.app import app
from shoal.cli.running import JsonOutput
from shoal.cli.serve import named_paths
from shoal.run import how_many

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "fault": ("✗", "red")}


@app.command()
def doctor(
    model: Annotated[
        Path | None,
        typer.Argument(help="The model folder or the store that would be served.", metavar="MODEL"),
    ] = None,
    *,
    config: Annotated[
        Path | None, typer.Option(help="The configuration that the service would get (YAML).")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="A further model that it would serve.", metavar="NAME=PATH"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where it would listen.")] = None,
    port: Annotated[int | None, typer.Option(help="Where it would listen.")] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes it would be.")] = None,
    events: Annotated[
        str | None, typer.Option(help="Its database of events: a file or an address.")
    ] = None,
    experiment: Annotated[
        Path | None, typer.Option(help="The experiment that it would run (YAML).")
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="Its file of hashed keys.")] = None,
    json_output: JsonOutput = False,
) -> None:
    """Check an installation before it serves: versions, cores, memory, files, keys, clock, store.

    Each check ends well, with a warning or with a fault, and says the way out. The exit code is 1
    if there is a fault. A model answers a few times, so that its kernels are compiled and kept.
    """
    from shoal.service.doctor import examine
    from shoal.service.settings import make_settings

    options: dict[str, Any] = {
        "also": named_paths(also),
        "host": host,
        "port": port,
        "workers": workers,
        "events": events,
        "experiment": experiment,
        "keys": keys,
    }
    if model is None and config is None:
        settings, served = make_settings(model=Path(), **options), None
    else:
        settings = make_settings(config, model=model, **options)
        served = settings.model
    findings = []
    for finding in examine(settings, served):
        findings.append(finding)
        if not json_output:
            mark, colour = _MARKS[finding.state]
            show.line(f"{mark} {finding.check}: {finding.text}", "" if mark == "✓" else colour)
            if finding.way_out:
                show.line(f"    → {finding.way_out}")
    faults = sum(finding.state == "fault" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    if json_output:
        rows = [asdict(finding) for finding in findings]
        show.as_json({"faults": faults, "warnings": warnings, "checks": rows})
    else:
        counts = f"{how_many(faults, 'fault')}, {how_many(warnings, 'warning')}"
        show.line(f"{len(findings)} checks: {counts}", "bold")
    if faults:
        raise typer.Exit(1)
