"""`examine`: all that `shoal doctor` checks of an installation, one finding after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from shoal.errors import MissingExtraError, ShoalError
from shoal.service import host_checks, model_checks
from shoal.service.experiment import configured_experiment
from shoal.service.findings import Finding, fault, ok, warning
from shoal.service.security import check_address, keys_of
from shoal.service.settings import Settings


def examine(
    settings: Settings, model: Path | None, environment: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Check an installation before production.

    Parameters
    ----------
    settings : Settings
        As the service would be started.
    model : Path or None
        What would be served; None checks the rest.
    environment : mapping

    Yields
    ------
    Finding
    """
    yield host_checks.python()
    packages = host_checks.packages(_extras(settings))
    yield packages
    yield host_checks.user()
    yield host_checks.cores(environment)
    yield host_checks.open_files()
    yield host_checks.temporary_folder()
    served = []  # the models that can be loaded
    if model is not None:
        for name, (findings, loaded) in _models(settings, model):
            yield from (replace(f, check=f"{f.check} {name}".rstrip()) for f in findings)
            served += [] if loaded is None else [loaded]
    yield host_checks.kernels()  # after the models, whose first answers compile them
    all_bytes = sum(loaded.bytes for loaded in served) if served else None
    yield host_checks.memory(all_bytes, settings.workers)
    for loaded in served:
        yield host_checks.disk(loaded.folder.parent, loaded.bytes)
    yield host_checks.clock(max((loaded.made for loaded in served), default=None))
    yield keys(settings, environment)
    yield host_checks.port(settings.host, settings.port)
    if settings.events is not None:
        yield events(settings.events)
    if settings.experiment is not None:
        yield experiment(settings)


def _models(
    settings: Settings, main: Path
) -> Iterator[tuple[str, tuple[list[Finding], model_checks.Served | None]]]:
    """What is found of each model that would answer, by what it is called beside the main one."""
    yield "", model_checks.model(main)
    for name, path in settings.also.items():
        yield name, model_checks.model(path)
    definition = None
    with suppress(ShoalError):  # told by `experiment`
        definition = configured_experiment(settings)
    variants = () if definition is None else definition.variants.values()
    for version in dict.fromkeys(v.version for v in variants if v.version is not None):
        yield version, model_checks.version(main, version)


def _extras(settings: Settings) -> list[str]:
    """The extras that these settings need."""
    postgres = (settings.events or "").startswith(("postgres://", "postgresql"))
    return ["serve", *(["postgres"] if postgres else [])]


def keys(settings: Settings, environment: Mapping[str, str] = os.environ) -> Finding:
    """Whether those who can reach the service need a key, and whether the keys are kept well."""
    try:
        found = keys_of(settings)
        check_address(settings, found)
    except ShoalError as error:
        return fault("keys", str(error), "shoal serve --make-key read --keys FILE makes one")
    if not found:
        return ok("keys", f"none: only this machine can ask, at {settings.host}")
    if settings.read_key is not None or settings.admin_key is not None:
        return warning(
            "keys",
            "a key stands in the configuration as it is",
            "keep hashes instead: shoal serve --make-key read --keys FILE",
        )
    place = str(settings.keys) if settings.keys is not None else "the environment"
    return ok("keys", f"set, by {place}")


def experiment(settings: Settings) -> Finding:
    """Whether the file of an experiment can be read, and all is there that its variants name."""
    try:
        definition = configured_experiment(settings)
    except ShoalError as error:
        return fault("experiment", str(error), "mend the file")
    assert definition is not None
    text = f"{definition.name}: {', '.join(definition.variants)}"
    if settings.events is None:
        way_out = "name a database of events: without one nothing is counted, and none is promoted"
        return warning("experiment", text, way_out)
    return ok("experiment", text)


def events(url: str) -> Finding:
    """Whether the events' database can be reached, if what it takes is installed."""
    try:
        return model_checks.database(url)
    except (MissingExtraError, ImportError) as error:
        return fault("database", str(error), "pip install 'shoal[serve,postgres]'")
