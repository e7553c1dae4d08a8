"""Does `shoal plan` tell the truth? Its seconds and bytes beside measured ones. Writes plan.md.

    python benchmarks/plan/run.py run                                  # every model, every shape
    python benchmarks/plan/run.py run --shapes 1k --models ease,elsa
    python benchmarks/plan/run.py render                               # the page, from the results

The plan and the fit of a model run in processes of their own, one after the other. Models that
train make two epochs, and the second one is compared with the plan's epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from shoal.models.registry import by_name, models
from shoal.splitting.held_out import HeldOut

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.peers.common import peak_rss, start_peak
from benchmarks.plan.logs import log_for

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
SHAPES = {
    "1k": (4_000, 1_000, 80_000),
    "3k": (8_000, 3_000, 320_000),
    "10k": (8_000, 10_000, 400_000),
    "10k-long": (40_000, 10_000, 4_000_000),
}
LONG = "10k-long"  # for models that make no epochs
LARGE = 64 * 2**20  # bytes: below that, a peak is mostly what every process has
LONG_ENOUGH = 0.1  # seconds: below that, what every fit has (threads, ids) counts as much

HEAD = """# What `shoal plan` says, beside what was measured

Written by `benchmarks/plan/run.py`; no figure here is typed by hand.

    python benchmarks/plan/run.py run

Synthetic logs of the given size (`shoal generate`), default hyper-parameters, {cores}. *Plan* is
from the counts alone; plan and fit ran in processes of their own. **s** is the fit, or one epoch
(after the first) of models that train; **MiB** is the most that the process held during the fit,
less what it held before, for models that train with validation. A cell is planned / measured, and
in brackets their ratio.
The verdict at the end counts fits of 0.1 s and 64 MiB or more: below, what every process takes.
"""


def planned(model: str, shape: str) -> Row:
    """From the counts."""
    import shoal

    began = time.perf_counter()
    users, items, interactions = SHAPES[shape]
    found = shoal.plan(n_users=users, n_items=items, n_interactions=interactions, models=[model])[
        model
    ]
    took = time.perf_counter() - began
    row: Row = found.to_dict() | {"plan_seconds": took}
    row["comparable_seconds"] = found.seconds_of_epoch or found.seconds
    return row


def measured(model: str, shape: str) -> Row:
    """One fit, or two epochs."""
    import numpy as np

    kind = by_name(model)
    few = {"n_epochs": 2, "patience": 0} if kind.trained else {}
    whole = log_for(kind, SHAPES[shape])
    kind(**few).fit(log_for(kind, (200, 100, 2_000)))  # kernels and threads are there before
    held = start_peak()
    began = time.perf_counter()
    fitted = kind(**few).fit(whole)
    seconds = time.perf_counter() - began
    row: Row = {
        "fit_seconds": seconds,
        "comparable_seconds": getattr(fitted, "curve", [{}])[-1].get("seconds", seconds),
        "peak_bytes": peak_rss() - held,
        "model_bytes": sum(a.nbytes for a in fitted.state().values()),
    }
    if kind.trained and kind.task == "ranking":  # memory is promised for a fit with validation
        del fitted
        some = whole.take_users(np.arange(1_100))
        held = start_peak()
        kind(n_epochs=1).fit(whole, HeldOut(some, some, whole.item_counts, "the same"))
        row["peak_bytes"] = max(row["peak_bytes"], peak_rss() - held)
    return row


def run(shapes: list[str], names: list[str], threads: int | None) -> None:
    """All of them; each result is written as soon as it is there."""
    env = dict(os.environ)
    if threads:
        env |= {f"{p}_NUM_THREADS": str(threads) for p in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    for shape in shapes:
        for name in names:
            if f"{shape}-{name}" in RESULTS or (by_name(name).trained and shape == LONG):
                continue
            row: Row = {
                "load_before": round(os.getloadavg()[0], 2),
                "cores": threads or len(os.sched_getaffinity(0)),
            }
            for part in ("planned", "measured"):
                command = [sys.executable, str(Path(__file__)), part, shape, name]
                done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{part} of {name} on {shape}: {done.stderr[-2000:]}")
                row[part] = json.loads(done.stdout.splitlines()[-1])
            RESULTS.save(f"{shape}-{name}", row)
            print(f"{shape} {name}: {_cells(row)}", flush=True)


def _pair(planned: float, measured: float, digits: str) -> str:
    return f"{planned:{digits}} / {measured:{digits}} ({planned / max(measured, 1e-9):.2f})"


def _cells(row: Row) -> list[str]:
    plan, fit = row["planned"], row["measured"]
    seconds = _pair(plan["comparable_seconds"], fit["comparable_seconds"], ".3g")
    mib = (plan["bytes_to_fit"] / 2**20, fit["peak_bytes"] / 2**20)
    large = fit["peak_bytes"] >= LARGE
    memory = _pair(*mib, ".0f") if large else f"{mib[0]:.0f} / {mib[1]:.0f}"
    size = _pair(plan["bytes_of_model"] / 2**20, fit["model_bytes"] / 2**20, ".2f")
    return [seconds, memory, size]


def render() -> str:
    """The page."""
    rows = {
        (shape, name): row
        for shape in SHAPES
        for name in models()
        if (row := RESULTS.get(f"{shape}-{name}")) is not None
    }
    if not rows:
        return "Not yet run.\n"
    cores = {row["cores"] for row in rows.values()}
    page = HEAD.format(cores=" or ".join(f"{n} core" + "s" * (n > 1) for n in sorted(cores)))
    for shape, counts in SHAPES.items():
        here = {name: row for (s, name), row in rows.items() if s == shape}
        if not here:
            continue
        page += "\n## {:,} users × {:,} items, {:,} interactions\n\n".format(*counts)
        page += "| model | s | MiB | model, MiB |\n|---|---|---|---|\n"
        for name, row in here.items():
            page += f"| {name} | {' | '.join(_cells(row))} |\n"
    page += f"\n{_verdict(rows)}"
    return page


def _verdict(rows: dict[tuple[str, str], Row]) -> str:
    times = {
        key: row["planned"]["comparable_seconds"] / row["measured"]["comparable_seconds"]
        for key, row in rows.items()
        if row["measured"]["comparable_seconds"] >= LONG_ENOUGH
    }
    sizes = {
        key: row["planned"]["bytes_to_fit"] / row["measured"]["peak_bytes"]
        for key, row in rows.items()
        if row["measured"]["peak_bytes"] >= LARGE
    }
    text = ""
    for what, ratios, bound in (("Time", times, 2.0), ("Memory", sizes, 1.3)):
        off = [
            f"{n} on {s} ({r:.2f})" for (s, n), r in ratios.items() if not 1 / bound <= r <= bound
        ]
        text += f"{what}: {len(ratios) - len(off)} of {len(ratios)} within {bound:g}×"
        text += f"; not: {', '.join(off)}.\n\n" if off else ".\n\n"
    loads = [row["load_before"] for row in rows.values()]
    took = [row["planned"]["plan_seconds"] for row in rows.values()]
    text += f"A plan of one model took {min(took):.1f} to {max(took):.1f} s. "
    return text + f"The machine's load before was {min(loads):g} to {max(loads):g}.\n"


def main() -> None:
    """Run, then write the page; or one measurement, for the process that asked for it."""
    if sys.argv[1:2] in (["planned"], ["measured"]):
        part, shape, model = sys.argv[1:4]
        print(json.dumps(planned(model, shape) if part == "planned" else measured(model, shape)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--models", default=",".join(models()))
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.part == "run":
        run(given.shapes.split(","), given.models.split(","), given.threads)
    (HERE / "plan.md").write_text(render())


if __name__ == "__main__":
    main()
