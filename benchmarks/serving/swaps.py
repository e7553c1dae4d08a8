"""New versions under load: no error, each answer from exactly one version, and no pause.

    python benchmarks/serving/swaps.py            # ≥ 100,000 requests, ≥ 200 swaps of each model
    python benchmarks/serving/swaps.py --short    # a small catalogue, 10 swaps

A client asks at a fixed rate: first a calm minute, then while another version is made live again
and again (`Store.activate`, which `shoal activate` and the last step of `shoal publish` call). A
swap counts once the service says that it answers from that version. The client knows the list of
each version for each history, computed in another process without a service, and compares ids and
scores to the last bit. Latencies are counted from the time at which a request was due.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.serving.catalogue import Catalogue, recommendations
from benchmarks.serving.services import Load, Service, running, shoal_service, store_of
from shoal.artifact import Store

HERE = Path(__file__).parent
POLL = 0.1  # seconds between the looks of the service for a new version
LONGEST = 60.0  # that a swap may take until the run is given up
VERSIONS = {"ease": ("ease-2", "ease"), "elsa": ("elsa-2", "elsa-3", "elsa")}


def percentile(samples: list[tuple[float, float]], share: float = 0.99) -> float:
    """Of latencies, in milliseconds."""
    ordered = sorted(seconds for _, seconds in samples)
    return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Watch:
    """Samples the memory of a service twice a second, in a thread."""

    def __init__(self, service: Service) -> None:
        self._service, self._stop = service, threading.Event()
        self.samples: list[Row] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            self.samples.append(self._service.memory())

    def largest(self) -> Row:
        """The most of each figure."""
        self._stop.set()
        self._thread.join()
        return {name: max(s[name] for s in self.samples) for name in self.samples[0]}


def version_of(service: Service) -> str:
    """The version that the service says it answers from."""
    status, body = service.ask({"method": "GET", "path": "/ready"})
    return str(json.loads(body)["model"]["version"]) if status == 200 else ""


def swap(store: Store, service: Service, version: str, workers: int) -> tuple[float, float]:
    """Make a version live, and wait until all workers answer from it; begin and end."""
    begin = time.time()
    store.activate(version)
    agreed = 0  # answers in a row: any worker may take a connection
    while agreed < (1 if workers == 1 else 8 * workers):
        agreed = agreed + 1 if version_of(service) == version else 0
        if time.time() - begin > LONGEST:
            raise SystemExit(f"{version} does not answer after {LONGEST:g} s: {service.tail()}")
        time.sleep(0.005 if workers == 1 else 0.001)
    return begin, time.time()


def measured(
    catalogue: Catalogue,
    model: str,
    rate: float,
    calm: float,
    requests: int,
    swaps: int,
    workers: int,
) -> Row:
    """One run of a model."""
    folder = catalogue.folder / f"swaps-{model}"
    shutil.rmtree(folder, ignore_errors=True)
    versions = store_of(folder, [catalogue.model(name) for name in VERSIONS[model]])
    expected = {name: catalogue.checksums(path.name) for name, path in versions.items()}
    store, names = Store(folder), list(versions)
    asked = recommendations(catalogue.histories())
    options = ("--workers", str(workers), "--threads", "1")
    load_before = round(os.getloadavg()[0], 2)
    with running(shoal_service(folder, *options, poll=POLL)) as service:
        Load(service.port, asked, expected, connections=8, seconds=2).result()
        quiet = Load(
            service.port, asked, expected, samples=True, connections=32, rate=rate, seconds=calm
        ).result()
        before = service.memory()
        load = Load(
            service.port,
            asked,
            expected,
            samples=True,
            until_stopped=True,
            connections=32,
            rate=rate,
        )
        watch = Watch(service)
        times: list[tuple[float, float]] = []
        pace, begin = requests / rate / (swaps + 1), time.time()
        while len(times) < swaps or time.time() - begin < requests / rate + 1:
            wait = begin + pace * (len(times) + 1) - time.time()
            time.sleep(max(0.0, wait))
            times.append(swap(store, service, names[len(times) % len(names)], workers))
        load.stop()
        moved = load.result()
        largest = watch.largest()
        time.sleep(3 if requests < 10_000 else 10)
        after = service.memory()
    inside = [s for s in moved["samples"] if any(b <= s[0] <= e for b, e in times)]
    p99 = {"calm": percentile(quiet["samples"]), "all": percentile(moved["samples"])}
    if inside:
        p99["while a version is loaded"] = percentile(inside)
    quiet.pop("samples")
    moved.pop("samples")
    return {
        "model": model,
        "workers": workers,
        "rate": rate,
        "load_before": load_before,
        "swaps": len(times),
        "requests_while_loading": len(inside),
        "swap_seconds": sum(e - b for b, e in times) / len(times),
        "p99": p99,
        "calm": quiet,
        "swapping": moved,
        "memory": {"before": before, "largest": largest, "after": after},
    }


def shown(row: Row) -> str:
    """What is printed of a row."""
    moved, p99, memory = row["swapping"], row["p99"], row["memory"]
    return (
        f"{moved['requests']:,} requests, {row['swaps']} swaps, errors {moved['errors']}, p99 "
        f"{p99['calm']:.2f} → {p99['all']:.2f} ms, PSS {memory['before']['pss'] / 1e6:,.0f} → "
        f"{memory['largest']['pss'] / 1e6:,.0f} → {memory['after']['pss'] / 1e6:,.0f} MB"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--models", nargs="*", default=["ease", "elsa"], choices=list(VERSIONS))
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--requests", type=int, help="100,000, unless given; 2,000 if short")
    parser.add_argument("--swaps", type=int, help="200, unless given; 10 if short")
    parser.add_argument("--calm", type=float, help="seconds; 60, unless given; 2 if short")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results.jsonl")
    given = parser.parse_args()
    requests = given.requests or (2_000 if given.short else 100_000)
    swaps = given.swaps or (10 if given.short else 200)
    calm = given.calm or (2.0 if given.short else 60.0)
    catalogue = Catalogue("short" if given.short else "full")
    results = Results(given.results / "results.jsonl")
    for model in given.models:
        row = measured(catalogue, model, given.rate, calm, requests, swaps, given.workers)
        name = f"swaps {model}" + (f" x{given.workers}" if given.workers > 1 else "")
        results.save(name, row)
        print(f"{name}: {shown(row)}", flush=True)
        if row["swapping"]["errors"]:
            raise SystemExit(f"{name}: {row['swapping']['examples']}")


if __name__ == "__main__":
    main()
