"""A million items: generate, read, fit, recommend; seconds and peaks. Writes million.md.

    python benchmarks/million/run.py run --shape regular --models elsa,item-knn
    python benchmarks/million/run.py run --shape million --models elsa --set elsa.factors=256
    python benchmarks/million/run.py render

The log is generated once, in a process of its own, under --folder; each model is then read, fitted
and asked for lists in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.data import CACHE
from benchmarks.harness.results import Results, Row
from benchmarks.peers.common import peak_rss, start_peak

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
SHAPES = {  # users, items, interactions
    "tiny": (20_000, 5_000, 500_000),
    "small": (40_000, 20_000, 1_000_000),
    "regular": (200_000, 200_000, 10_000_000),
    "million": (2_000_000, 1_000_000, 100_000_000),
}
LISTS = 10_000  # users who get their 100 best
K = 100
GIVEN: dict[str, dict[str, str]] = {  # where defaults would not fit, or take days
    "elsa": {"sampled": "1024", "factors": "128", "n_epochs": "3", "batch_size": "512"},
}
STAGES = ("read", "fit", "recommend")

HEAD = """# A million items

Written by `benchmarks/million/run.py`; no figure here is typed by hand.

    python benchmarks/million/run.py run --shape million --models elsa

Synthetic logs (`shoal generate`, seed 0): good for seconds and bytes, not for quality. Each model
has a process of its own. **Peak** is the most that the process held during a stage, all counted;
*lists* are the {k} best of {lists:,} users.
"""


@contextmanager
def stage(row: Row, name: str) -> Iterator[None]:
    """Note seconds and the process's peak."""
    held, began = start_peak(), time.perf_counter()
    yield
    row[name] = {
        "seconds": round(time.perf_counter() - began, 3),
        "held_before": held,
        "peak": peak_rss(),
    }
    print(f"{name}: {row[name]}", file=sys.stderr, flush=True)


def generated(shape: str, path: Path) -> Row:
    """The log's file."""
    import shoal

    row: Row = {}
    with stage(row, "generate"):
        shoal.generate(path, *SHAPES[shape])
    return row | {"file_bytes": path.stat().st_size}


def one(model: str, path: Path, settings: dict[str, str]) -> Row:
    """Read, fit, recommend."""
    import numpy as np

    import shoal
    from shoal.models.registry import create

    unfitted = create(model, settings)
    row: Row = {"model": model, "given": settings}
    with stage(row, "read"):
        log = shoal.read(path)
    row["estimate_bytes"] = unfitted.bytes_to_fit(log.size)
    with stage(row, "fit"):
        fitted = unfitted.fit(log)
    row["facts"] = fitted.facts
    row["model_bytes"] = sum(a.nbytes for a in fitted.state().values())
    users = log.take_users(np.arange(min(LISTS, log.n_users)))
    with stage(row, "recommend"):
        lists = shoal.recommend_all(fitted, users, K)
    row["lists"] = users.n_users
    row["rows"] = lists.height
    return row


def child(part: str, *values: str) -> Row:
    """What a part gives, from a process of its own; its stages are shown as they end."""
    command = [sys.executable, str(Path(__file__)), part, *values]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return {"failed": f"status {done.returncode}"}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(shape: str, models: list[str], given: dict[str, dict[str, str]], folder: Path) -> None:
    """Generate what is not there, then every model that has no result."""
    from shoal.models.registry import by_name

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{shape}.parquet"
    if not path.exists():
        RESULTS.save(f"{shape}-log", child("generate", shape, str(path)))
    for name in (by_name(m).name for m in models):
        if f"{shape}-{name}" in RESULTS:
            continue
        load = round(os.getloadavg()[0], 2)
        settings = GIVEN.get(name, {}) | given.get(name, {})
        row = child("one", name, str(path), json.dumps(settings))
        if "failed" in row:
            print(f"{name} on {shape}: {row['failed']}")
            continue
        row |= {"load_before": load, "cores": len(os.sched_getaffinity(0))}
        RESULTS.save(f"{shape}-{name}", row)


def _cost(found: Row) -> str:
    return f"{found['seconds']:,.1f} s, {found['peak'] / 2**30:.2f} GiB"


def render() -> str:
    """The page."""
    page = HEAD.format(k=K, lists=LISTS)
    there = False
    for shape, (users, items, interactions) in SHAPES.items():
        rows = [
            row
            for name in RESULTS.names(f"{shape}-*")
            if name != f"{shape}-log" and (row := RESULTS.get(name)) is not None
        ]
        if not rows:
            continue
        there = True
        page += f"\n## {users:,} users × {items:,} items, {interactions:,} interactions\n\n"
        log = RESULTS.get(f"{shape}-log") or {}
        if "generate" in log:
            page += f"Generating: {_cost(log['generate'])}; the file has "
            page += f"{log['file_bytes'] / interactions:.1f} bytes a row.\n\n"
        page += (
            "| model | read, peak | fit, peak | lists, peak | model, GiB | planned, GiB | load |"
        )
        page += "\n|---|---|---|---|---|---|---|\n"
        for row in rows:
            settings = ", ".join(f"{k} {v}" for k, v in row["given"].items())
            name = row["model"] + (f" ({settings})" if settings else "")
            cells = [_cost(row[s]) for s in STAGES]
            cells += [f"{row[k] / 2**30:.3f}" for k in ("model_bytes", "estimate_bytes")]
            page += f"| {name} | {' | '.join(cells)} | {row['load_before']:g} |\n"
        cores = " or ".join(str(n) for n in sorted({row["cores"] for row in rows}))
        page += f"\nCores: {cores}. *planned* is memory of the fit beyond the log.\n"
    return page if there else "Not yet run.\n"


def main() -> None:
    """Run, then write the page; or one part, for the process that asked for it."""
    if sys.argv[1:2] == ["generate"]:
        print(json.dumps(generated(sys.argv[2], Path(sys.argv[3]))))
        return
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--shape", choices=list(SHAPES), default="regular")
    parser.add_argument("--models", default="elsa")
    parser.add_argument("--set", action="append", default=[], help="model.parameter=value")
    parser.add_argument("--folder", type=Path, default=CACHE)
    given = parser.parse_args()
    if given.part == "run":
        from shoal.cli.model_options import settings_by_model

        names = given.models.split(",")
        run(given.shape, names, settings_by_model(given.set, names), given.folder)
    (HERE / "million.md").write_text(render())


if __name__ == "__main__":
    main()
