"""Does a fit stay within the memory that it announces? Writes peaks.md.

    python benchmarks/plan/peaks.py run                                # every model, every shape
    python benchmarks/plan/peaks.py run --shapes long --models ease,elsa --again
    python benchmarks/plan/peaks.py render                             # the page, from the results

A fit's peak is the most that its process held, less what it held before the fit: with the log and
torch loaded, kernels compiled, and the same model fitted to a tiny log.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

from shoal.models.registry import by_name, models

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.peers.common import peak_rss, start_peak
from benchmarks.plan.logs import log_for

HERE = Path(__file__).parent
RESULTS = Results(HERE / "peaks.jsonl")
SHAPES = {
    "long": (40_000, 1_000, 4_000_000),
    "wide": (4_000, 8_000, 200_000),
    "dual": (600, 12_000, 150_000),
}
TRAINED = {  # for models that make epochs: smaller, as only the memory is asked for
    "long": (8_000, 1_000, 400_000),
    "wide": (1_500, 6_000, 60_000),
}
WHAT = {
    "long": "Many interactions",
    "wide": "Many items",
    "dual": "Few users: closed forms are solved for users",
}
SETTINGS = {"admm-slim": {"max_iter": 2}}  # all iterations take the same memory
LIMIT = 1.1  # a peak of more than this, in multiples of what was announced, is a fault

HEAD = """# What a fit takes, beside what it announces

Written by `benchmarks/plan/peaks.py`; no figure here is typed by hand.

    python benchmarks/plan/peaks.py run

*Announced* is what `check_budget` and `shoal plan` say before the fit; *peak* is the most that the
process held during the fit, less what it held before with the log loaded and kernels compiled.
Each fit has a process of its own, and one thread. Synthetic logs, default hyper-parameters; models
that train make two epochs, with 1,100 validation users if they rank.
"""


def measured(name: str, shape: str) -> Row:
    """The announced bytes and the peak of one fit."""
    from shoal.experiments.warmup import warm_up
    from shoal.run import Run
    from shoal.splitting.held_out import HeldOut

    kind, run = by_name(name), Run(threads=1)
    model = kind(**SETTINGS.get(name, {}), **({"n_epochs": 2} if kind.trained else {}))
    log = log_for(kind, (TRAINED if kind.trained else SHAPES)[shape])
    validation = None
    if kind.trained and kind.task == "ranking":
        some = log.take_users(np.arange(1_100))
        validation = HeldOut(some, some, log.item_counts, "the same users")
    warm_up(model, log, run)
    announced = model.bytes_taken(log.size, run.memory_budget) + model.bytes_beside(log)
    held = start_peak()
    model.fit(log, validation, run)
    return {"announced_bytes": announced, "peak_bytes": peak_rss() - held, "facts": model.facts}


def run(shapes: list[str], names: list[str], again: bool) -> None:
    """All of them; each result is written as soon as it is there."""
    for shape in shapes:
        for name in names:
            key = f"{shape}-{name}"
            if (key in RESULTS and not again) or not _concerned(name, shape):
                continue
            command = [sys.executable, str(Path(__file__)), "measured", shape, name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                warnings.warn(f"{name} on {shape}: {done.stderr[-2000:]}", stacklevel=1)
                continue
            row = json.loads(done.stdout.splitlines()[-1])
            RESULTS.save(key, row)
            print(f"{key}: {' | '.join(_cells(row))}", flush=True)


def _concerned(name: str, shape: str) -> bool:
    """Whether a shape says something of a model: the few users only of closed forms."""
    from shoal.base.closed_form import ClosedForm

    return shape != "dual" or issubclass(by_name(name), ClosedForm)


def _cells(row: Row) -> list[str]:
    announced, peak = row["announced_bytes"], row["peak_bytes"]
    return [f"{announced / 1e6:.1f}", f"{peak / 1e6:.1f}", f"{peak / announced:.2f}"]


def render() -> str:
    """The page."""
    page, above = HEAD, []
    for shape, counts in SHAPES.items():
        names = [name for name in models() if f"{shape}-{name}" in RESULTS]
        if not names:
            continue
        page += "\n## {}: {:,} users × {:,} items, {:,} interactions".format(WHAT[shape], *counts)
        if shape in TRAINED:
            page += " ({:,} × {:,}, {:,} for models that train)".format(*TRAINED[shape])
        page += "\n\n| model | announced, MB | peak, MB | peak / announced |\n|---|---|---|---|\n"
        for name in names:
            row = RESULTS.get(f"{shape}-{name}") or {}
            page += f"| {name} | {' | '.join(_cells(row))} |\n"
            if row["peak_bytes"] > LIMIT * row["announced_bytes"]:
                above.append(f"{name} on {shape}")
    count = len(RESULTS.names())
    page += f"\n{count - len(above)} of {count} fits stay within {LIMIT:g} × what they announce"
    return page + (f"; not: {', '.join(above)}.\n" if above else ".\n")


def main() -> None:
    """Run, then write the page; or one measurement, for the process that asked for it."""
    if sys.argv[1:2] == ["measured"]:
        shape, name = sys.argv[2:4]
        print(json.dumps(measured(name, shape)))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--models", default=",".join(models()))
    parser.add_argument("--again", action="store_true", help="measure what is there already, too")
    given = parser.parse_args()
    if given.part == "run":
        run(given.shapes.split(","), given.models.split(","), given.again)
    (HERE / "peaks.md").write_text(render())


if __name__ == "__main__":
    main()
