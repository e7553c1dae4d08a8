"""One epoch of Mult-VAE, RecVAE and FLVAE beside peers: seconds and bytes. Writes deep.md.

    python benchmarks/linear/run.py install --only recbole,cornac,recpack
    python benchmarks/deep/run.py run                        # about 15 minutes on 2 cores
    python benchmarks/deep/run.py run --only shoal,sketch --repeats 1
    python benchmarks/deep/run.py render                     # the page alone, from the results

Run it on a quiet machine: the load before each run stands in its result. Data and environments are
those of `linear/run.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.deep.page import render
from benchmarks.harness import peers, synthetic
from benchmarks.harness.data import CACHE
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")


@dataclass(frozen=True)
class Peer:
    """Who is measured: the environment it runs in, its kind of numbers, the model."""

    environment: str
    precision: str = "float32"
    model: str = "mult-vae"


PEERS = {
    "shoal": Peer("shoal"),
    "shoal-bfloat16": Peer("shoal", "bfloat16"),
    "sketch": Peer("sketch"),
    "recbole": Peer("recbole"),
    "recbole-bfloat16": Peer("recbole", "bfloat16"),
    "cornac": Peer("cornac"),
    "recpack": Peer("recpack"),
    "recvae": Peer("shoal", model="recvae"),
    "recvae-recbole": Peer("recbole", model="recvae"),
    "flvae": Peer("shoal", model="flvae"),
}


def once(name: str, shape: str, chosen: argparse.Namespace) -> Row:
    """One run of one peer in a process of its own."""
    peer = PEERS[name]
    options = {
        "data": synthetic.stored(shape, CACHE),
        "epochs": chosen.epochs,
        "precision": peer.precision,
        "model": peer.model,
    }
    out = CACHE / f"deep-{shape}-{name}.json"
    script = f"deep_{peer.environment}.py"
    row = peers.child(peer.environment, script, out, options, chosen.threads)
    return row | {"peer": name, "model": peer.model}


def together(rows: Sequence[Row]) -> Row:
    """The last run with the epochs of all of them, and the lowest memory peak."""
    peaks = [row["stages"]["fit"] for row in rows if "fit" in row["stages"]]
    least = min(peaks, key=lambda p: p["rss_after"] - p["rss_before"], default=None)
    row = rows[-1] | {"runs": len(rows)}
    row["epochs"] = [round(s, 3) for each in rows for s in each.get("epochs", [])]
    if least is not None:
        row["stages"]["fit"] = least
    return row


def run(shape: str, only: Sequence[str], chosen: argparse.Namespace) -> None:
    """All peers, one after the other."""
    folder = synthetic.stored(shape, CACHE)
    RESULTS.save(f"{shape}-data", json.loads((folder / "facts.json").read_text()))
    for name in only:
        row = together([once(name, shape, chosen) for _ in range(chosen.repeats)])
        RESULTS.save(f"{shape}-{name}", row)
        print(name, row["epochs"], row.get("losses"), row.get("failed", ""), flush=True)


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["run", "render"])
    # "tiny" is there to see that everything works; its figures mean nothing
    shapes = list(synthetic.SHAPES)
    parser.add_argument("--shape", default="small", choices=shapes, metavar="{small,ml20m}")
    parser.add_argument("--only", default=",".join(PEERS), help="peers, by commas")
    parser.add_argument("--epochs", type=int, default=2, help="in each run; the fastest counts")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    only = chosen.only.split(",")
    if unknown := set(only) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if chosen.part == "run":
        run(chosen.shape, only, chosen)
    if chosen.shape != "tiny":
        mult_vae = [name for name, peer in PEERS.items() if peer.model == "mult-vae"]
        deeper = [name for name in PEERS if name not in mult_vae]
        (HERE / "deep.md").write_text(render(RESULTS, mult_vae, deeper))


if __name__ == "__main__":
    main()
