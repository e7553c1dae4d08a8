"""Ten minutes of everything at once: memory and file descriptors stay what they are.

    python benchmarks/serving/soak.py                # 10 minutes
    python benchmarks/serving/soak.py --minutes 0.5 --short

Recommendations (by history and by user, with filters, boosts, diversity and reasons), similar
items, carts, ranking, batches, pages of the catalogue and events are asked for at a fixed rate,
while versions are swapped. The slope of memory is a least-squares line through samples of the
proportional set size of all processes, its anonymous part apart, after the first tenth of the time.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.serving.catalogue import Catalogue, post, recommendations
from benchmarks.serving.services import Load, running, shoal_service, store_of
from shoal.artifact import Store

HERE = Path(__file__).parent
RATE = 150.0  # requests per second
EVERY = 10.0  # seconds between two swaps
SAMPLE = 2.0  # seconds between two looks at the memory
USERS = 500  # whose events are posted and asked for
FILTERS = ("year >= 1990 and price < 20", "in_stock and year < 2000", "price > 5 or in_stock")


def mixture(catalogue: Catalogue, n: int = 3_000, seed: int = 0) -> list[dict[str, Any]]:
    """Requests of all kinds, in a random order that is always the same."""
    rng, histories = random.Random(seed), catalogue.histories()  # noqa: S311
    plain = recommendations(histories)
    requests: list[dict[str, Any]] = []
    for number in range(n):
        history = histories[number % len(histories)]
        user = f"u{rng.randrange(USERS)}"
        kinds: list[dict[str, Any]] = [
            plain[number % len(plain)],
            plain[(7 * number) % len(plain)],
            post("/v1/recommend", {"user": user, "k": 10}),
            post("/v1/recommend", {"history": history, "k": 20, "filter": rng.choice(FILTERS)}),
            post("/v1/recommend", {"history": history, "boost": {"in_stock": 1.2}}),
            post("/v1/recommend", {"history": history, "diversity": 0.3, "explain": True}),
            post("/v1/recommend", {"history": ["nobody knows this"]}),
            post("/v1/similar", {"item": history[0], "k": 10}),
            post("/v1/complement", {"items": history[:3], "k": 10}),
            post("/v1/rank", {"history": history[:10], "candidates": history[10:]}),
            post("/v1/batch", {"requests": [{"history": h, "k": 5} for h in histories[:10]]}),
            {"method": "GET", "path": "/v1/items?search=Title%201&limit=20"},
            {"method": "GET", "path": f"/v1/items/{history[0]}"},
            *(
                post("/v1/events", {"events": [{"user": user, "item": item, "type": "view"}]})
                for item in history[:2]
            ),
        ]
        requests.append(rng.choice(kinds))
    return requests


def slope(times: list[float], values: list[float]) -> float:
    """Of a least-squares line, per minute."""
    return float(np.polyfit(np.array(times) / 60, np.array(values), 1)[0])


def soaked(catalogue: Catalogue, minutes: float, model: str, workers: int) -> Row:
    """One run."""
    versions = {"ease": ("ease-2", "ease"), "elsa": ("elsa-2", "elsa")}[model]
    folder = catalogue.folder / f"soak-{model}"
    shutil.rmtree(folder, ignore_errors=True)
    names = list(store_of(folder, [catalogue.model(name) for name in versions]))
    store, rows = Store(folder), []
    with tempfile.TemporaryDirectory() as temporary:
        options = ("--workers", str(workers), "--events", str(Path(temporary) / "events.db"))
        with running(shoal_service(folder, *options)) as service:
            load = Load(
                service.port, mixture(catalogue), connections=16, rate=RATE, seconds=60 * minutes
            )
            begin, swaps = time.time(), 0
            while load.running():
                time.sleep(SAMPLE)
                at = time.time() - begin
                if not load.running():  # its connections are gone
                    break
                rows.append((at, service.memory(), service.descriptors()))
                if at > EVERY * (swaps + 1):
                    store.activate(names[swaps % len(names)])
                    swaps += 1
            result = load.result()
    kept = [row for row in rows if row[0] > 6 * minutes]
    times = [at for at, _, _ in kept]
    slopes = {
        name: slope(times, [memory[name] / 1e6 for _, memory, _ in kept])
        for name in ("pss", "pss_anon", "rss")
    }
    descriptors = [n for _, _, n in kept]
    return {
        "model": model,
        "workers": workers,
        "minutes": minutes,
        "swaps": swaps,
        "load": result,
        "slope": slopes,
        "pss_anon": {"first": kept[0][1]["pss_anon"], "last": kept[-1][1]["pss_anon"]},
        "pss": {"first": kept[0][1]["pss"], "last": kept[-1][1]["pss"]},
        "descriptors": {"least": min(descriptors), "most": max(descriptors)},
        "anonymous": [
            round(m["pss_anon"] / 1e6, 1) for _, m, _ in rows[:: max(1, len(rows) // 60)]
        ],
    }


def main() -> None:
    """Soak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--short", action="store_true", help="the small catalogue")
    parser.add_argument("--model", choices=["ease", "elsa"], default="ease")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results.jsonl")
    given = parser.parse_args()
    catalogue = Catalogue("short" if given.short else "full")
    row = soaked(catalogue, given.minutes, given.model, given.workers)
    Results(given.results / "results.jsonl").save(f"soak {given.model}", row)
    load = row["load"]
    print(
        f"{load['requests']:,} requests, statuses {load['statuses']}, {row['swaps']} swaps, "
        f"anonymous memory {row['slope']['pss_anon']:+.3f} MB/min, "
        f"descriptors {row['descriptors']}"
    )
    if load["errors"]:
        raise SystemExit("\n".join(load["examples"]))


if __name__ == "__main__":
    main()
