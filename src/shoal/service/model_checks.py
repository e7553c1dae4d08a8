"""Checks of what is served that `shoal doctor` makes: model or store, and the events' database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shoal.errors import ShoalError
from shoal.run import how_many
from shoal.service.findings import Finding, fault, ok, warning
from shoal.service.host_checks import NETWORK_FILE_SYSTEMS, file_system
from shoal.web import printable

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender

SLOW_FIRST_ANSWER = 2.0  # seconds; kernels that were compiled before answer in far less


@dataclass(frozen=True)
class Served:
    """The model that would be served.

    Parameters
    ----------
    folder : Path
        Its folder, with the files that are mapped.
    bytes : int
        Size of these files.
    made : float
        When it was made, in seconds since 1970.
    """

    folder: Path
    bytes: int
    made: float


def model(path: Path) -> tuple[list[Finding], Served | None]:
    """Check a model folder or a store: whether what is live can be loaded, and answers.

    Parameters
    ----------
    path : Path

    Returns
    -------
    findings : list of Finding
    served : Served or None
        None where nothing can be served.
    """
    from shoal.artifact import Store, is_store
    from shoal.artifact.below import is_servable, told_below

    if not path.exists():
        return [fault("model", f"{path} does not exist", "give a model folder or a store")], None
    if path.is_dir() and not is_servable(path):
        text = f"{path} holds neither a model (manifest.json) nor a store of versions"
        way_out = "name the folder of `shoal train --out` or `shoal publish`"
        return [fault("model", text, way_out + told_below(path))], None
    if not is_store(path):
        findings, served = _load(path)
        note = warning(
            "store",
            f"{path} is one model folder: no new version can replace it while it serves",
            f"shoal publish {path} STORE, then serve STORE",
        )
        return ([note, *findings] if served else findings), served
    try:
        store = Store(path)
        versions, live = store.versions(), store.current()
    except ShoalError as error:
        text = printable(error, 500)
        return [fault("store", text, "shoal publish a model there, or activate a version")], None
    text = f"{how_many(len(versions), 'version')}, {live} is live"
    broken = [version.name for version in versions if version.error]
    finding = ok("store", text)
    if broken:
        names = ", ".join(broken)
        finding = warning("store", f"{text}; broken: {names}", f"see shoal versions {path}")
    findings, served = _load(store.folder(live))
    return [finding, *findings], served


def version(store: Path, name: str) -> tuple[list[Finding], Served | None]:
    """Check a version of a store that answers beside the live one."""
    from shoal.artifact import Store

    return _load(Store(store).folder(name))


def _load(folder: Path) -> tuple[list[Finding], Served | None]:
    """Read a model, and let it answer."""
    from shoal.artifact import load, verify

    try:
        manifest = verify(folder)
        loaded = load(folder)
    except ShoalError as error:
        way_out = "activate another version, or publish a new one"
        return [fault("model", printable(error, 500), way_out)], None
    size = sum(file["bytes"] for file in manifest["files"].values())
    served = Served(folder, size, datetime.fromisoformat(manifest["created"]).timestamp())
    text = f"{loaded.name}, {loaded.n_items:,} items"
    try:
        first, then = _answer_times(loaded)
    except ShoalError as error:
        return [fault("model", f"{text}: {printable(error, 500)}", f"shoal info {folder}")], served
    text += f"; the first answer took {first:.2f} s, the next {1000 * then:.1f} ms"
    if first > SLOW_FIRST_ANSWER:
        way_out = "kernels were compiled for it: run shoal doctor again, it should be fast by now"
        return [warning("model", text, way_out)], served
    return [ok("model", text)], served


def _answer_times(model: Recommender) -> tuple[float, float]:
    """Seconds of the first answer, and of the fastest of some more."""
    from shoal.inference.recommend import recommend

    items: list[Any] = model.items.take([int(model.known_items.argmax())])
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        recommend(model, items, min(10, model.n_items))
        seconds.append(time.perf_counter() - began)
    return seconds[0], min(seconds[1:])


def database(url: str) -> Finding:
    """Whether the events' database can be reached.

    Parameters
    ----------
    url : str
        A path of a SQLite file, or the address of a database; its password is not shown.
    """
    from shoal.events import EventStore

    name = without_password(url)
    path = sqlite_path(url)
    if path is not None:
        kind = file_system(path.absolute().parent)
        if kind in NETWORK_FILE_SYSTEMS:
            return fault(
                "database",
                f"{name} is on a network file system ({kind}), where SQLite loses data",
                "put the file on a local disk, or use PostgreSQL",
            )
    way_out = "start it, or mend the address"
    if path is not None:
        way_out = "name a new file in a folder that is there, or one that shoal made"
    try:
        store = EventStore(url)
        try:
            if not store.ping():
                return fault("database", f"{name} does not answer", way_out)
            count = store.count()
        finally:
            store.close()
    except ShoalError as error:
        return fault("database", printable(error, 500), way_out)
    return ok("database", f"{name} answers, {count:,} events")


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite database; None for other databases and for one in memory."""
    if "://" not in url:
        return Path(url)
    if not url.startswith("sqlite"):
        return None
    path = url.partition("://")[2].partition("?")[0].removeprefix("/")
    return Path(path) if path and path != ":memory:" else None


def without_password(url: str) -> str:
    """An address as it may be shown."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"
