"""One recommendation over HTTP: latency at 200 requests a second, and how many a second at most.

    python benchmarks/serving/over_http.py            # shoal and the peers; about 15 minutes
    python benchmarks/serving/over_http.py --short    # a small catalogue, a second for each figure

Peers run in environments of their own, which `--install` makes. All servers have one process,
libraries' thread pools have one thread, and all answer the same histories of 20 items with ten rows
(cicerone: a user's list of the night before). What is not there is left out and said so.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.peers import VENVS, install_one
from benchmarks.harness.results import Results, Row
from benchmarks.serving.catalogue import Catalogue, post, recommendations
from benchmarks.serving.services import (
    Service,
    about,
    loaded,
    peer_service,
    running,
    shoal_service,
    store_of,
)

HERE = Path(__file__).parent
RATE = 200.0  # requests per second
CONNECTIONS = 8  # closed loop
LISTED = 20_000  # users of cicerone's file


def weights_for_rectools(catalogue: Catalogue) -> Path:
    """shoal's matrix of EASE, transposed, which is how RecTools 0.19 reads its own."""
    import shoal

    path = catalogue.folder / "rectools.npy"
    if not path.exists():
        model = shoal.load(catalogue.model("ease"))
        weights = next(a for a in model.state().values() if a.ndim == 2)
        assert weights.shape == (model.n_items,) * 2
        np.save(path, np.ascontiguousarray(weights.T))
    return path


def shoal_of(catalogue: Catalogue, model: str, workers: int) -> Service:
    """The service of a model, with events in a file as by default."""
    store = catalogue.folder / f"store-{model}"
    store_of(store, [catalogue.model(model)])
    return shoal_service(store, "--workers", str(workers), "--threads", "1")


def servers(catalogue: Catalogue) -> dict[str, tuple[Callable[[], Service], str]]:
    """How each is started, and the route that is asked."""
    log, shape = str(catalogue.log_path), catalogue.shape
    asked = post("/recommend", {"history": catalogue.histories()[0]})
    listed = {"method": "GET", "path": "/health"}
    folder = str(catalogue.folder / "cicerone")
    sizes = ("--users", str(LISTED), "--items", str(shape.n_items))

    def peer(name: str, script: str, *options: str) -> Callable[[], Service]:
        return lambda: peer_service(name, script, *options, ready=asked)

    def rectools() -> Service:
        weights = str(weights_for_rectools(catalogue))
        given = ("--log", log, "--weights", weights)
        return peer_service("cicerone", "serve_rectools.py", *given, ready=asked)

    def cicerone() -> Service:
        given = ("--folder", folder, *sizes)
        return peer_service("cicerone", "serve_cicerone.py", *given, ready=listed)

    return {
        "shoal ease": (lambda: shoal_of(catalogue, "ease", 1), "/v1/recommend"),
        "shoal elsa": (lambda: shoal_of(catalogue, "elsa", 1), "/v1/recommend"),
        "fastapi": (peer("", "serve_constant.py", "fastapi"), "/recommend"),
        "uvicorn": (peer("", "serve_constant.py", "asgi"), "/recommend"),
        "implicit als": (
            peer("serve-implicit", "serve_implicit.py", "als", "--log", log),
            "/recommend",
        ),
        "implicit item-item": (
            peer("serve-implicit", "serve_implicit.py", "item-item", "--log", log),
            "/recommend",
        ),
        "rectools": (rectools, "/recommend"),
        "cicerone": (cicerone, "/recommendations"),
    }


def measured(catalogue: Catalogue, service: Service, route: str, seconds: float) -> Row:
    """The most it answers, then its latency at the rate; what all of its processes hold."""
    if route == "/recommendations":
        users = np.random.default_rng(2).integers(0, LISTED, 2_000)
        paths = [f"/recommendations/u{user:06d}?limit=10" for user in users]
        key = ["Authorization: Bearer benchmark"]
        requests = [{"method": "GET", "path": path, "headers": key} for path in paths]
    else:
        requests = recommendations(catalogue.histories(), route)
    row: Row = {"start": service.seconds_to_start, "load_before": round(os.getloadavg()[0], 2)}
    began = time.perf_counter()
    service.ask(requests[0], timeout=100)
    slow = time.perf_counter() - began > 1  # seconds for one answer: no use in asking more at once
    connections = 1 if slow else CONNECTIONS
    if not slow:
        loaded(service, requests, connections=connections, seconds=min(2.0, seconds))
    row["saturated"] = loaded(service, requests, connections=connections, seconds=seconds)
    row["rate"] = min(RATE, 0.5 * row["saturated"]["per_second"])  # what it can keep up with
    long = max(seconds, 5 / row["rate"])
    row["steady"] = loaded(service, requests, connections=32, rate=row["rate"], seconds=long)
    row["memory"] = service.memory()
    return row


def shared(catalogue: Catalogue, model: str, seconds: float) -> Row:
    """One and two workers: requests per second, and the memory of all processes."""
    requests = recommendations(catalogue.histories())
    row: Row = {}
    for workers in (1, 2):
        with running(shoal_of(catalogue, model, workers)) as service:
            result = loaded(service, requests, connections=16, seconds=seconds)
            memory = service.memory() | {"model": service.model_bytes()}
            row[str(workers)] = {"saturated": result, "memory": memory}
    return row


def stored(catalogue: Catalogue, seconds: float) -> Row:
    """Events over HTTP, acknowledged when they are on the disk: one in a request, and 20."""
    items = [item for history in catalogue.histories() for item in history]
    items *= 1 + 20_000 // len(items)
    row: Row = {"load_before": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as folder:
        options = ("--threads", "1", "--events", str(Path(folder) / "events.db"))
        with running(shoal_service(catalogue.model("ease"), *options)) as service:
            for size in (1, 20):
                bodies = [
                    [{"user": f"u{n % 997}", "item": item} for item in items[n : n + size]]
                    for n in range(0, 20_000, size)
                ]
                requests = [post("/v1/events", {"events": body}) for body in bodies]
                loaded(service, requests, connections=16, seconds=min(1.0, seconds))
                result = loaded(service, requests, connections=16, seconds=seconds)
                row[str(size)] = result | {"events_per_second": size * result["per_second"]}
    return row


def without_samples(row: Row) -> str:
    """What is printed of a row."""
    steady, most = row["steady"], row["saturated"]
    return f"p50 {steady['p50']} ms, p99 {steady['p99']} ms, at most {most['per_second']:,} / s"


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--install", action="store_true", help="make the peers' environments first")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each figure")
    parser.add_argument("--only", nargs="*", help="names of servers")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results.jsonl")
    given = parser.parse_args()
    if given.install:
        for name, module in (("cicerone", "cicerone"), ("serve-implicit", "implicit")):
            print(name, install_one(name, module), flush=True)
    catalogue = Catalogue("short" if given.short else "full")
    seconds = 1.0 if given.short else given.seconds
    results = Results(given.results / "results.jsonl")
    results.save("about", about())
    for name, (make, route) in servers(catalogue).items():
        if given.only and name not in given.only:
            continue
        needs = {"implicit": "serve-implicit", "rectools": "cicerone", "cicerone": "cicerone"}
        venv = needs.get(name.split()[0])
        if venv and not (VENVS / venv).exists():
            print(f"{name}: left out, since --install was not run", flush=True)
            continue
        with running(make()) as service:
            row = measured(catalogue, service, route, seconds)
        results.save(f"http {name}", row)
        print(name, without_samples(row), flush=True)
    if not given.only or "events" in given.only:
        row = stored(catalogue, seconds)
        results.save("http events", row)
        print("events a second", *(round(row[n]["events_per_second"]) for n in ("1", "20")))
    for model in ("ease", "elsa"):
        if not given.only or f"workers {model}" in given.only:
            row = shared(catalogue, model, seconds)
            results.save(f"workers {model}", row)
            pss = [row[n]["memory"]["pss"] / 1e6 for n in ("1", "2")]
            print(f"workers {model}: {pss[0]:,.0f} and {pss[1]:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
