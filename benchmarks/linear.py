"""The linear core beside its peers: seconds and bytes. Writes benchmarks/linear.md.

    python benchmarks/linear.py install                  # an environment for each peer
    python benchmarks/linear.py run --shape small        # fit, recommend, evaluate; each peer alone
    python benchmarks/linear.py run --shape ml20m --only shoal,irspack
    python benchmarks/linear.py scale                    # shoal's fit by number of items
    python benchmarks/linear.py kernels                  # one kernel at a time, and the start
    SHOAL_DATA=… python benchmarks/linear.py real        # gowalla and yelp2018: 41,000 items
    python benchmarks/linear.py render                   # the page alone, from the results

Run it on a quiet machine: the load before each run stands in its result. Data are synthetic
(`synthetic.py`) and kept in benchmarks/.cache, environments in benchmarks/.venvs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import synthetic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "linear"
CACHE = HERE / ".cache"
VENVS = HERE / ".venvs"
Row = dict[str, Any]

ALL = 10**9  # users
TIMEOUT = 1_200  # seconds
ADDRESS_SPACE = 18 * 2**30
L2, K = 300.0, 100


@dataclass(frozen=True)
class Peer:
    """Who is measured, and on how many users: small and ML20M shape.

    Slow ones get few users; the page extrapolates, and marks that.
    """

    recommend: tuple[int, int] = (ALL, ALL)
    evaluate: tuple[int, int] = (10_000, 10_000)
    own: bool = False  # runs in shoal's environment


PEERS = {
    "shoal": Peer(own=True),
    "sketch": Peer(own=True),
    "numpy": Peer((ALL, 20_000), own=True),
    "irspack": Peer((ALL, 10_000)),
    "cornac": Peer((1_000, 500), (500, 500)),
    "lenskit": Peer((1_000, 200), (500, 200)),
    "rectools": Peer((5_000, 1_000), (5_000, 1_000)),
    "recpack": Peer((1_000, 200), (1_000, 200)),
    "recbole": Peer((5_000, 1_000), (10_000, 1_000)),
    "implicit": Peer(),
}


def save(name: str, row: Row) -> None:
    """Keep a result."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(row, indent=1, sort_keys=True, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def python_of(peer: str) -> Path:
    """The interpreter that has the peer."""
    own = peer in PEERS and PEERS[peer].own
    return Path(sys.executable) if own else VENVS / peer / "bin" / "python"


def environment(threads: int) -> dict[str, str]:
    """Our own environment, with every thread pool set to the same size."""
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    return os.environ | {f"{pool}_NUM_THREADS": str(threads) for pool in pools}


def _complaint(text: str) -> str:
    """The last lines that say what went wrong, without this machine's folders and hosts."""
    lines = [x.strip() for x in text.splitlines() if x.strip()]
    kept = [x for x in lines if "Error" in x or x.startswith("ERROR")] or lines
    words = " / ".join(kept[-3:]).split()
    return " ".join("…" if w.count("/") > 1 or "://" in w else w for w in words)[:600]


def install(only: Sequence[str]) -> None:
    """Make an environment for each peer; say which did not come to work."""
    path = RESULTS / "install.json"
    found: Row = json.loads(path.read_text()) if path.exists() else {}
    for peer in only:
        if PEERS[peer].own:
            continue
        found[peer] = install_one(peer, peer)
        print(peer, found[peer], flush=True)
        save("install", found)


def install_one(peer: str, module: str) -> Row:
    """Make one peer's environment, and import its module there."""
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "-r"]
    steps = [
        [sys.executable, "-m", "venv", str(VENVS / peer)],
        [*pip, str(HERE / "peers" / f"requirements-{peer}.txt")],
        [str(python_of(peer)), "-c", f"import {module}"],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"works": False, "failed": _complaint(done.stderr)}
    return {"works": True}


def agreement(lists: Any, reference: Any) -> Row:
    """How much of the reference's lists a peer found, and how often at the same rank."""
    n = len(lists)
    shared = [np.intersect1d(a[a >= 0], b).size for a, b in zip(lists, reference[:n], strict=True)]
    return {
        "users": n,
        "overlap": float(np.mean(shared) / reference.shape[1]),
        "same_rank": float((lists == reference[:n]).mean()),
    }


def child(
    peer: str,
    script: str,
    out: Path,
    options: Mapping[str, object],
    threads: int,
    timeout: int = TIMEOUT,
) -> Row:
    """Run a script of peers/ in the peer's environment; its result, and what went wrong."""
    for old in (out, out.with_suffix(".lists.npz")):
        old.unlink(missing_ok=True)
    command = [str(python_of(peer)), str(HERE / "peers" / script), "--out", str(out)]
    for name, value in {**options, "threads": threads}.items():
        command += [f"--{name}", str(value)]
    env = environment(threads) | {"BENCH_ADDRESS_SPACE": str(ADDRESS_SPACE)}
    load = os.getloadavg()[0]
    try:
        done = subprocess.run(
            command, env=env, timeout=timeout, capture_output=True, text=True, check=False
        )
        failed = ""
        if done.returncode:
            killed = f"ended by signal {-done.returncode}: " if done.returncode < 0 else ""
            failed = killed + _complaint(done.stderr)
    except subprocess.TimeoutExpired:
        failed = f"stopped after {timeout:,} s"
    except OSError:
        failed = "not installed"
    row: Row = json.loads(out.read_text()) if out.exists() else {"peer": peer, "stages": {}}
    row["load_before"] = round(load, 2)
    if failed:
        row["failed"] = failed
    return row


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


def fastest(rows: list[Row]) -> Row:
    """The last run, with the fastest of each stage over all runs."""
    best = rows[-1] | {"runs": len(rows)}
    for row in rows:
        for stage, found in row["stages"].items():
            kept = best["stages"].setdefault(stage, found)
            if found["seconds"] < kept["seconds"]:
                best["stages"][stage] = found
    return best


def run(shape: str, only: Sequence[str], chosen: argparse.Namespace) -> None:
    """All peers on one shape, one after the other."""
    folder = synthetic.stored(shape, CACHE)
    save(f"{shape}-data", json.loads((folder / "facts.json").read_text()))
    if not (folder / f"reference-{L2:g}.npz").exists():
        print("reference lists", flush=True)
        command = [sys.executable, str(HERE / "peers" / "reference.py"), "--data", str(folder)]
        subprocess.run([*command, "--l2", str(L2), "--k", str(K)], check=True)
    large = shape == "ml20m"
    for peer in only:
        users = PEERS[peer].recommend[large], PEERS[peer].evaluate[large]
        users = chosen.recommend_users or users[0], chosen.evaluate_users or users[1]
        rows = [once(peer, shape, users, chosen.threads) for _ in range(chosen.repeats)]
        row = fastest(rows)
        save(f"{shape}-{peer}", row)
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
        import linear_scale

        given = [int(n) for n in chosen.sizes.split(",")] if chosen.sizes else linear_scale.SIZES
        sizes = [*given, *([40_000] if chosen.large else [])]
        found = linear_scale.measure(sizes, environment(chosen.threads), chosen.threads)
        save("scale", found)
        linear_scale.plot(found, HERE / "linear-scale.png")
    elif chosen.part == "kernels":
        import linear_kernels

        folder = synthetic.stored(chosen.shape, CACHE)
        env = environment(chosen.threads)
        save("kernels", linear_kernels.measure(folder, env, chosen.threads))
    elif chosen.part == "real":
        import linear_real

        save("real", linear_real.measure(environment(chosen.threads), chosen.threads))
    from accuracy_page import fill
    from linear_page import readme_block, render

    (HERE / "linear.md").write_text(render(RESULTS, list(PEERS)))
    fill(HERE.parent / "README.md", "speed", readme_block(RESULTS, list(PEERS)))


if __name__ == "__main__":
    main()
