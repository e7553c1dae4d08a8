"""SLIM beside irspack's and LensKit's: seconds, bytes, and the objective reached. Writes slim.md.

    python benchmarks/linear/run.py install --only irspack,lenskit
    python benchmarks/slim/run.py run --threads 2
    python benchmarks/slim/run.py run --only shoal           # the others' results stay
    python benchmarks/slim/run.py render                     # the page alone, from the results

Run it on a quiet machine: the load before each run stands in its result. Data and environments are
those of `linear/run.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import peers, synthetic
from benchmarks.harness.data import CACHE
from benchmarks.harness.page import GIB, peak, seconds, short
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
PEERS = ("shoal", "irspack", "lenskit")
ALPHA, L1_RATIO = 0.01, 0.1
GOAL = 5.0
TIMEOUT = 7_200  # seconds
USERS = 2_000  # whose residuals are computed at a time

HEAD = """# Speed and memory of SLIM

Written by `benchmarks/slim/run.py`; no figure here is typed by hand. Data are synthetic and seeded
(`harness/synthetic.py`), made for seconds and bytes, not for quality.
"""

ABOUT = """
Everyone solves the same problem on the same matrix, in an environment and a process of its own,
with its own stopping rule as it comes: ½‖X − XB‖² + (l2/2)‖B‖² + l1·ΣB over B ≥ 0 with diag(B) = 0.
Reading and converting the data is not in the times, nor is the import. **Peak** is the most that
the process held during the fit, less what it held before (the data included). The **objective** is
computed from the weights that each gave back, in float64, by the same lines for all; *above* is how
much it is above the lowest of the table, relative. In brackets: times shoal's. shoal's kernels are
loaded from numba's cache before the clock starts.
"""


def objective(X: Any, B: Any, l1: float, l2: float) -> float:
    """½‖X − XB‖² + (l2/2)‖B‖² + l1·ΣB in float64; whoever broke a constraint gets infinity."""
    X, B = sp.csr_array(X, dtype=np.float64), sp.csr_array(B, dtype=np.float64)
    if B.data.min(initial=0) < 0 or B.diagonal().any():
        return float("inf")
    total = l2 / 2 * float(B.data @ B.data) + l1 * float(B.data.sum())
    for begin in range(0, X.shape[0], USERS):
        rows = X[begin : begin + USERS]
        total += float(((rows - rows @ B).data ** 2).sum()) / 2
    return total


def once(peer: str, shape: str, threads: int) -> Row:
    """One run of one peer in a process of its own, and what its weights are worth."""
    folder = synthetic.stored(shape, CACHE)
    X = sp.load_npz(folder / "train.npz")
    l1, l2 = ALPHA * L1_RATIO * X.shape[0], ALPHA * (1 - L1_RATIO) * X.shape[0]
    out = CACHE / f"slim-{shape}-{peer}.json"
    kept = out.with_suffix(".weights.npz")
    kept.unlink(missing_ok=True)
    options = {"data": folder, "l1": l1, "l2": l2}
    row = peers.child(peer, f"slim_{peer}.py", out, options, threads, TIMEOUT) | {"l1": l1}
    if kept.exists():
        B = sp.load_npz(kept)
        row["objective"] = objective(X, B, l1, l2)
        row["weights"] = int(np.count_nonzero(B.data))
    return row


def run(shape: str, only: Sequence[str], threads: int, repeats: int) -> None:
    """All peers, one after the other."""
    folder = synthetic.stored(shape, CACHE)
    RESULTS.save(f"{shape}-data", json.loads((folder / "facts.json").read_text()))
    for peer in only:
        row = peers.fastest([once(peer, shape, threads) for _ in range(repeats)])
        RESULTS.save(f"{shape}-{peer}", row)
        took = {stage: round(found["seconds"], 2) for stage, found in row["stages"].items()}
        print(peer, took, row.get("objective"), row.get("weights"), row.get("failed", ""))


def _line(peer: str, row: Row, mine: Row | None, lowest: float) -> str:
    took, most = seconds(row, "fit"), peak(row)
    if took is None or most is None or "objective" not in row:
        return f"| {peer} | – | – | – | – | – |\n"
    ours, our_peak = seconds(mine, "fit"), peak(mine)
    other = peer != "shoal"
    times = f" ({short(took / ours)})" if ours and other else ""
    more = f" ({short(most / our_peak)})" if our_peak and other else ""
    return (
        f"| {peer} | {short(took)}{times} | {most / GIB:.2f}{more} | {row['objective']:,.1f} | "
        f"{row['objective'] / lowest - 1:.1e} | {row['weights']:,} |\n"
    )


def render(shape: str = "slim") -> str:
    """The page."""
    found = {peer: row for peer in PEERS if (row := RESULTS.get(f"{shape}-{peer}"))}
    data = RESULTS.get(f"{shape}-data")
    if not found or data is None:
        return HEAD + "\nNot yet run.\n"
    one = next(iter(found.values()))
    text = HEAD + ABOUT
    text += f"\n{data['n_users']:,} users × {data['n_items']:,} items, {data['train']:,} "
    text += f"interactions; alpha {ALPHA:g}, l1_ratio {L1_RATIO:g}: l1 = {one['l1']:g}, l2 = "
    text += f"{one['l2']:g}. {one['cores']} cores, {one['threads']} threads.\n\n"
    text += "| | fit, s | peak, GiB | objective | above | weights |\n|---|---|---|---|---|---|\n"
    lowest = min((row["objective"] for row in found.values() if "objective" in row), default=1)
    mine = found.get("shoal")
    text += "".join(_line(peer, row, mine, lowest) for peer, row in found.items())
    ours = seconds(mine, "fit")
    others = [s for p, row in found.items() if p != "shoal" and (s := seconds(row, "fit"))]
    if ours and others:
        least = min(others) / ours
        reached = "reached" if least >= GOAL else "not reached"
        text += f"\nThe goal is {GOAL:g} times the faster peer: {short(least)}, {reached}.\n"
    text += "\n" + "".join(
        f"* {peer}: {row['versions'].get(peer, '')}; {row.get('notes', {}).get('fit', '')}; "
        f"load before {row['load_before']}{'; ' + row['failed'] if 'failed' in row else ''}.\n"
        for peer, row in found.items()
        if "versions" in row
    )
    return text


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["run", "render"])
    # "tiny" is there to see that everything works; its figures mean nothing
    parser.add_argument("--shape", default="slim", choices=list(synthetic.SHAPES))
    parser.add_argument("--only", default=",".join(PEERS), help="peers, by commas")
    parser.add_argument("--repeats", type=int, default=1, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    only = chosen.only.split(",")
    if unknown := set(only) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if chosen.part == "run":
        run(chosen.shape, only, chosen.threads, chosen.repeats)
    if chosen.shape == "slim":
        (HERE / "slim.md").write_text(render())
    else:
        print(render(chosen.shape))


if __name__ == "__main__":
    main()
