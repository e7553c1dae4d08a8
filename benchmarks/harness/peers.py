"""The peers: an environment for each, and their scripts run there, each in a process of its own.

Environments are made in benchmarks/.venvs from the requirements in benchmarks/peers/.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.data import BENCHMARKS
from benchmarks.harness.results import Row

VENVS = BENCHMARKS / ".venvs"
SCRIPTS = BENCHMARKS / "peers"

ALL = 10**9  # users
TIMEOUT = 1_200  # seconds
ADDRESS_SPACE = 18 * 2**30


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


def install_one(peer: str, module: str) -> Row:
    """Make one peer's environment, and import its module there."""
    pip = [str(python_of(peer)), "-m", "pip", "install", "--quiet", "-r"]
    steps = [
        [sys.executable, "-m", "venv", str(VENVS / peer)],
        [*pip, str(SCRIPTS / f"requirements-{peer}.txt")],
        [str(python_of(peer)), "-c", f"import {module}"],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"works": False, "failed": _complaint(done.stderr)}
    return {"works": True}


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
    command = [str(python_of(peer)), str(SCRIPTS / script), "--out", str(out)]
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


def fastest(rows: list[Row]) -> Row:
    """The last run, with the fastest of each stage over all runs."""
    best = rows[-1] | {"runs": len(rows)}
    for row in rows:
        for stage, found in row["stages"].items():
            kept = best["stages"].setdefault(stage, found)
            if found["seconds"] < kept["seconds"]:
                best["stages"][stage] = found
    return best
