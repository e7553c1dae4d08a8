"""The linear core beside its peers: seconds and bytes. Writes linear.md.

    python benchmarks/linear/run.py install              # an environment for each peer
    python benchmarks/linear/run.py run --shape small    # fit, recommend, evaluate; each peer alone
    python benchmarks/linear/run.py run --shape ml20m --only shoal,irspack
    python benchmarks/linear/run.py scale                # shoal's fit by number of items
    python benchmarks/linear/run.py kernels              # one kernel at a time, and the start
    SHOAL_DATA=… python benchmarks/linear/run.py real    # gowalla and yelp2018: 41,000 items
    python benchmarks/linear/run.py render               # the page alone, from the results

Run it on a quiet machine: the load before each run stands in its result. Data are synthetic
(`harness/synthetic.py`) and kept in benchmarks/.cache, environments in benchmarks/.venvs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import synthetic
from benchmarks.harness.data import CACHE
from benchmarks.harness.page import README, fill
from benchmarks.harness.peers import PEERS, SCRIPTS, child, environment, fastest, install_one
from benchmarks.harness.results import Results, Row
from benchmarks.linear import kernels, page, real, scale

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
L2, K = 300.0, 100


def install(only: Sequence[str]) -> None:
    """Make an environment for each peer; say which did not come to work."""
    found = RESULTS.get("install") or {}
    for peer in only:
        if PEERS[peer].own:
            continue
        found[peer] = install_one(peer, peer)
        print(peer, found[peer], flush=True)
        RESULTS.save("install", found)


def agreement(lists: Any, reference: Any) -> Row:
    """How much of the reference's lists a peer found, and how often at the same rank."""
    n = len(lists)
    shared = [np.intersect1d(a[a >= 0], b).size for a, b in zip(lists, reference[:n], strict=True)]
    return {
        "users": n,
        "overlap": float(np.mean(shared) / reference.shape[1]),
        "same_rank": float((lists == reference[:n]).mean()),
    }


def once(peer: str, shape: str, users: tuple[int, int], threads: int) -> Row:
    """One run of one peer in a process of its own."""
    folder = synthetic.stored(shape, CACHE)
    out = CACHE / f"{shape}-{peer}.json"
    numbers = {"l2": L2, "k": K, "recommend-users": users[0], "evaluate-users": users[1]}
    row = child(peer, f"run_{peer}.py", out, {"data": folder, **numbers}, threads)
    kept = out.with_suffix(".lists.npz")
    if kept.exists():
        reference = np.load(folder / f"reference-{L2:g}.npz")[row["lists_of"]]
        row["agreement"] = agreement(np.load(kept)["lists"], reference)
    return row


def run(shape: str, only: Sequence[str], chosen: argparse.Namespace) -> None:
    """All peers on one shape, one after the other."""
    folder = synthetic.stored(shape, CACHE)
    RESULTS.save(f"{shape}-data", json.loads((folder / "facts.json").read_text()))
    if not (folder / f"reference-{L2:g}.npz").exists():
        print("reference lists", flush=True)
        command = [sys.executable, str(SCRIPTS / "reference.py"), "--data", str(folder)]
        subprocess.run([*command, "--l2", str(L2), "--k", str(K)], check=True)
    large = shape == "ml20m"
    for peer in only:
        users = PEERS[peer].recommend[large], PEERS[peer].evaluate[large]
        users = chosen.recommend_users or users[0], chosen.evaluate_users or users[1]
        rows = [once(peer, shape, users, chosen.threads) for _ in range(chosen.repeats)]
        row = fastest(rows)
        RESULTS.save(f"{shape}-{peer}", row)
        seconds = {stage: round(found["seconds"], 2) for stage, found in row["stages"].items()}
        print(peer, seconds, row.get("agreement"), row.get("failed", ""), flush=True)


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["install", "run", "scale", "kernels", "real", "render"])
    # "tiny" is there to see that everything works; its figures mean nothing
    shapes = list(synthetic.SHAPES)
    parser.add_argument("--shape", default="small", choices=shapes, metavar="{small,ml20m}")
    parser.add_argument("--only", default=",".join(PEERS), help="peers, by commas")
    parser.add_argument("--recommend-users", type=int, help="instead of each peer's own number")
    parser.add_argument("--evaluate-users", type=int)
    parser.add_argument("--repeats", type=int, default=1, help="the fastest of each stage counts")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--sizes", help="scale: numbers of items, by commas")
    parser.add_argument("--large", action="store_true", help="scale: 40,000 items too")
    chosen = parser.parse_args()
    only = chosen.only.split(",")
    if unknown := set(only) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if chosen.part == "install":
        install(only)
    elif chosen.part == "run":
        run(chosen.shape, only, chosen)
    elif chosen.part == "scale":
        given = [int(n) for n in chosen.sizes.split(",")] if chosen.sizes else scale.SIZES
        sizes = [*given, *([40_000] if chosen.large else [])]
        found = scale.measure(sizes, environment(chosen.threads), chosen.threads)
        RESULTS.save("scale", found)
        scale.plot(found, HERE / "linear-scale.png")
    elif chosen.part == "kernels":
        folder = synthetic.stored(chosen.shape, CACHE)
        env = environment(chosen.threads)
        RESULTS.save("kernels", kernels.measure(folder, env, chosen.threads))
    elif chosen.part == "real":
        RESULTS.save("real", real.measure(environment(chosen.threads), chosen.threads))
    (HERE / "linear.md").write_text(page.render(RESULTS, list(PEERS)))
    fill(README, "speed", page.readme_block(RESULTS, list(PEERS)))


if __name__ == "__main__":
    main()
