"""Twice the items: how many times the seconds and the memory? Writes growth.md and growth.png.

    python benchmarks/growth/run.py run
    python benchmarks/growth/run.py run --models ease,mrf --sizes 4000,8000,16000 --set mrf.l2=100
    python benchmarks/growth/run.py render

Synthetic logs with so many interactions per item (`shoal generate`); each fit in a process of its
own. Models that train make a fixed number of epochs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from shoal.datasets.synthetic import SyntheticLog
from shoal.models.registry import by_name, create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.peers.common import peak_rss, start_peak

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
SIZES = (2_000, 4_000, 8_000, 16_000, 32_000)
PER_ITEM = 100  # interactions, and 2 users
MODELS = ("ease", "mrf", "elsa")
EPOCHS = 3  # of models that train
LISTS = 1_000  # users who get their 100 best

HEAD = """# Growth with the catalogue

Written by `benchmarks/growth/run.py`; no figure here is typed by hand.

    python benchmarks/growth/run.py run

Synthetic logs with {per_item} interactions and 2 users per item, {cores}; each fit in a process of
its own. *fit* is wall clock ({epochs} epochs of models that train), *peak* the most that the
process held during the fit less what it held before, *lists* the time of the 100 best of {lists:,}
users. The **exponent** e is that of items^e through all sizes (least squares of logarithms), and in
brackets that of the last doubling: 1 doubles when the items double, 3 is eight times.

![log-log](growth.png)
"""


def one(model: str, n_items: int, settings: dict[str, str]) -> Row:
    """One fit, its peak, and lists."""
    import shoal
    from shoal.inference.recommend import recommend_all

    few = {"n_epochs": EPOCHS, "patience": 0} if by_name(model).trained else {}
    log = SyntheticLog(2 * n_items, n_items, PER_ITEM * n_items).interactions()
    tiny = SyntheticLog(200, 100, 2_000).interactions()
    recommend_all(create(model, few | settings).fit(tiny), tiny, 10)  # kernels are there before
    unfitted = create(model, few | settings)
    estimate = unfitted.bytes_to_fit(log.size)
    before, began = start_peak(), time.perf_counter()
    fitted = unfitted.fit(log, run=shoal.Run())
    seconds, peak = time.perf_counter() - began, peak_rss() - before
    few_users = log.take_users(np.arange(LISTS))
    began = time.perf_counter()
    recommend_all(fitted, few_users, 100)
    return {
        "fit_seconds": seconds,
        "peak_bytes": peak,
        "estimate_bytes": estimate,
        "lists_seconds": time.perf_counter() - began,
        "model_bytes": sum(a.nbytes for a in fitted.state().values()),
        "given": settings,
    }


def run(models: list[str], sizes: list[int], given: dict[str, dict[str, str]]) -> None:
    """Every size of every model; a size that fails ends its model."""
    for model in models:
        for n in sizes:
            if f"{model}-{n}" in RESULTS:
                continue
            load = round(os.getloadavg()[0], 2)
            command = [sys.executable, str(Path(__file__)), "one", model, str(n)]
            command.append(json.dumps(given.get(model, {})))
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{model} with {n:,} items: {(done.stderr or '').strip()[-300:]}")
                break
            row: Row = {"model": model, "items": n, "load_before": load}
            row |= {"cores": len(os.sched_getaffinity(0))} | json.loads(
                done.stdout.splitlines()[-1]
            )
            RESULTS.save(f"{model}-{n}", row)
            print(
                f"{model} {n:,}: {row['fit_seconds']:.2f} s, {row['peak_bytes'] / 2**20:.0f} MiB",
                flush=True,
            )


def load() -> dict[str, list[Row]]:
    """Results by model, by size."""
    found: dict[str, list[Row]] = {}
    for row in RESULTS.matching("*"):
        found.setdefault(row["model"], []).append(row)
    return {model: sorted(rows, key=lambda r: r["items"]) for model, rows in found.items()}


def exponent(rows: list[Row], what: str) -> str:
    """Of items^e: through all sizes, and from the last two."""
    if len(rows) < 2:
        return "–"
    x = [math.log(row["items"]) for row in rows]
    y = [math.log(max(row[what], 1e-9)) for row in rows]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    slope /= sum((a - mx) ** 2 for a in x)
    return f"{slope:.2f} ({(y[-1] - y[-2]) / (x[-1] - x[-2]):.2f})"


def plot(found: dict[str, list[Row]], path: Path) -> None:
    """Seconds and memory by items, on logarithmic axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for panel, (what, label, unit) in zip(
        axes, (("fit_seconds", "fit, seconds", 1), ("peak_bytes", "peak, MiB", 2**20)), strict=True
    ):
        for model, rows in found.items():
            panel.plot(
                [r["items"] for r in rows], [r[what] / unit for r in rows], "o-", label=model
            )
        panel.set(xscale="log", yscale="log", xlabel="items")
        panel.set_title(label, loc="left")
        ticks = sorted({r["items"] for rows in found.values() for r in rows})
        panel.set_xticks(ticks, [f"{n / 1000:g}k" for n in ticks])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def render() -> str:
    """The page."""
    found = load()
    if not found:
        return "Not yet run.\n"
    cores = {row["cores"] for rows in found.values() for row in rows}
    page = HEAD.format(
        per_item=PER_ITEM,
        epochs=EPOCHS,
        lists=LISTS,
        cores=" or ".join(f"{n} core" + "s" * (n > 1) for n in sorted(cores)),
    )
    page += "\n| model | exponent of fit | of peak | of the model's size |\n|---|---|---|---|\n"
    for model, rows in found.items():
        cells = [exponent(rows, what) for what in ("fit_seconds", "peak_bytes", "model_bytes")]
        page += f"| {model} | {' | '.join(cells)} |\n"
    page += "\n| model | items | fit, s | peak, MiB | planned, MiB | model, MiB | lists, s |\n"
    page += "|---|---|---|---|---|---|---|\n"
    for model, rows in found.items():
        for row in rows:
            mib = [row[k] / 2**20 for k in ("peak_bytes", "estimate_bytes", "model_bytes")]
            page += f"| {model} | {row['items']:,} | {row['fit_seconds']:.2f} | "
            page += " | ".join(f"{m:,.1f}" for m in mib) + f" | {row['lists_seconds']:.2f} |\n"
    loads = [row["load_before"] for rows in found.values() for row in rows]
    return page + f"\nThe machine's load before was {min(loads):g} to {max(loads):g}.\n"


def main() -> None:
    """Run, then draw and write the page; or one fit, for the process that asked for it."""
    if sys.argv[1:2] == ["one"]:
        model, n, settings = sys.argv[2:5]
        print(json.dumps(one(model, int(n), json.loads(settings))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--set", action="append", default=[], help="model.parameter=value")
    given = parser.parse_args()
    if given.part == "run":
        from shoal.cli.model_options import settings_by_model

        names = given.models.split(",")
        run(names, [int(n) for n in given.sizes.split(",")], settings_by_model(given.set, names))
    if found := load():
        plot(found, HERE / "growth.png")
    (HERE / "growth.md").write_text(render())


if __name__ == "__main__":
    main()
