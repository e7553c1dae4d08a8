"""What closed-form fits to billions of rows cost, from measured slopes. Writes results.md.

    python benchmarks/cluster/costs.py
    python benchmarks/cluster/costs.py --cores 64 --memory-gb 512 --euros-per-core-hour 0.04

Slopes are of `gram.py` (processor time of one thread) and `tiled_inverse.py`; what is assumed of
the machines of a cluster is an option here. Formulas are in this file.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.cluster.gram import SIZES
from benchmarks.harness.page import table
from benchmarks.harness.results import Results, Row
from shoal.cluster import gram, tiles
from shoal.cluster.closed_form import bytes_to_solve
from shoal.data.size import Size
from shoal.run import duration, human_bytes

HERE = Path(__file__).parent
MEASURED = Results(HERE / "gram.jsonl")
TILED = Results(HERE / "tiled_inverse.jsonl")
PAGE = HERE / "results.md"
ROWS = (10_000_000_000, 100_000_000_000)
ITEMS = (50_000, 100_000, 250_000)
LENGTH = 100  # interactions of a user
SKEW = 2.3  # mean square of these over the squared mean, as in generated logs
STORE, TASKS = 0.3, 0.6  # shares of a machine's memory for Ray's object store, and for tasks


@dataclass(frozen=True)
class Cluster:
    """What is assumed of each machine, and its price."""

    cores: int
    memory: float
    network: float  # bytes per second
    euros: float  # of an hour
    scaling: float  # of a machine's cores, against as many single ones


@dataclass(frozen=True)
class Slopes:
    """Seconds of one thread."""

    update: float  # of an addition to XᵀX
    scan: float  # to find a user's items in a band
    number: float  # to make a number of a band
    entry: float  # to put an interaction in order, once
    addition: float  # of a number of two bands
    row: float  # to read one
    flop: float  # of an inverse in place
    tiled: float  # an inverse in tiles, against one in place
    bytes_of_row: float  # on disk


def slopes() -> Slopes:
    """From the measurements."""
    measured = MEASURED.get("slopes") or {}
    names = ("updates", "scans", "numbers", "entries")
    work = np.array([[task[name] for name in names] for task in measured["tasks"]], float)
    seconds = np.array([task["seconds"] for task in measured["tasks"]])
    found, _ = nnls(work / seconds[:, None], np.ones(len(seconds)))  # relative errors count
    largest = max(measured["inverses"], key=lambda row: row["n"])
    reading = MEASURED.get("reading") or {}
    sizes = sorted(int(name.split("-")[0]) for name in TILED.names("*-in-tiles"))
    ratio = 1.0
    if sizes:
        here, there = (TILED.get(f"{sizes[-1]}-{way}") for way in ("in-place", "in-tiles"))
        if here and there:
            ratio = there["seconds"] / here["seconds"]
    update, scan, number, entry = (float(value) for value in found)
    return Slopes(
        update,
        scan,
        number,
        entry,
        measured["seconds_of_an_addition"],
        reading["seconds"] / reading["rows"],
        largest["seconds"] / largest["n"] ** 3,
        ratio,
        reading["bytes"] / reading["rows"],
    )


@dataclass(frozen=True)
class Cost:
    """Of one fit."""

    machines: int
    in_tiles: bool
    read: float  # seconds, as all that follow
    xtx: float
    moving: float
    inverse: float
    moved: float  # bytes between machines

    @property
    def seconds(self) -> float:
        """Of all steps, one after the other."""
        return self.read + self.xtx + self.moving + self.inverse


def cost(rows: int, n: int, cluster: Cluster, speed: Slopes) -> Cost:
    """Of one fit to binary data, on the fewest machines whose memory is enough."""
    users = rows / LENGTH
    squares = SKEW * LENGTH**2 * users
    in_tiles = bytes_to_solve(Size(0, n, 0)) > TASKS * cluster.memory
    in_tiles = in_tiles or 4 * n**2 > STORE * cluster.memory  # the weights as one value
    edges = tiles.edges_of(n, tiles.tile_size(n)) if in_tiles else gram.even_edges(n)
    n_bands = len(edges) - 1
    n_chunks = math.ceil(max(squares / (gram.ADDITIONS * n**2), rows / gram.LARGEST_CHUNK, 1))
    log, triangle = 4 * rows + 8 * users, 2 * n**2
    stored = log + triangle * (2 if in_tiles else 1)
    machines = max(1, math.ceil(stored / (STORE * cluster.memory)))
    if in_tiles:  # a task of a row of tiles, and 19 tiles of each core's task
        machines = max(machines, 2)
    cores = machines * cluster.cores * cluster.scaling

    read = rows * speed.row / cores
    xtx = (
        speed.update * (squares + rows) / 2
        + speed.scan * users * n_bands
        + speed.entry * rows
        + (speed.number + speed.addition * (n_chunks > 1)) * n_chunks * n**2 / 2
    ) / cores
    elsewhere = 1 - 1 / machines
    moved = elsewhere * (log * max(1, machines / n_chunks) + triangle * n_chunks + triangle)
    flops = float(n) ** 3
    if in_tiles:
        # 16 tiles of b² numbers for 8 products of 2·b³ flops, fetched each time
        moved += elsewhere * 4 * flops / (edges[1] - edges[0])
        inverse = flops * speed.flop * speed.tiled / cores
    else:
        moved += 4 * n**2 * elsewhere
        inverse = flops * speed.flop / (cluster.cores * cluster.scaling)
    moving = moved / (machines * cluster.network) + (0 if in_tiles else triangle / cluster.network)
    return Cost(machines, in_tiles, read, xtx, moving if machines > 1 else 0, inverse, moved)


def costs(cluster: Cluster, speed: Slopes) -> str:
    """The table of costs."""
    lines = []
    for rows in ROWS:
        for n in ITEMS:
            c = cost(rows, n, cluster, speed)
            hours = c.seconds / 3_600
            lines.append(
                [
                    f"{rows / 1e9:.0f} billion",
                    f"{n:,}",
                    "in tiles" if c.in_tiles else "in place",
                    str(c.machines),
                    *(duration(t) if t else "–" for t in (c.read, c.xtx, c.moving, c.inverse)),
                    f"{hours:.2f}",
                    human_bytes(rows * speed.bytes_of_row),
                    human_bytes(c.moved),
                    f"{hours * c.machines * cluster.euros:,.2f}",
                ]
            )
    head = (
        "rows | items | inverse | machines | reading | XᵀX | moving | inverting | hours | "
        "on disk | moved | euros"
    )
    return table(head, lines)


def limits(cluster: Cluster, speed: Slopes) -> str:
    """Where each design ends on these machines."""

    def largest(fits: object) -> int:
        low, high = 1, 10_000_000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)  # type: ignore[operator]
        return low

    room, store = TASKS * cluster.memory, STORE * cluster.memory
    here = largest(lambda n: 4 * n**2 + 64 * n < 0.8 * cluster.memory)
    solver = largest(lambda n: bytes_to_solve(Size(0, n, 0)) < room)
    value = largest(lambda n: 4 * n**2 < store)
    rows_here = 0.8 * cluster.memory / 20
    million = 1e18 * speed.flop * speed.tiled / (64 * cluster.cores * cluster.scaling)
    lines = [
        ["one process, no cluster", f"{here:,} items, or {rows_here / 1e9:.1f} billion rows",
         "n × n and X in its memory (4·n², 20 bytes per interaction)"],
        ["XᵀX on all machines, inverse on the largest", f"{solver:,} items",
         "n × n in the tasks' share of one machine's memory"],
        ["the same, weights handed over as one value", f"{value:,} items",
         "n × n in one object store; a larger --object-store-memory, or tiles"],
        ["all in tiles", "no limit by one machine's memory",
         f"time grows with n³: a million items take {duration(million)} on 64 machines, and 2 TB "
         "for a triangle; `elsa` or `mrf` are for that"],
        ["counts in int32", f"{2**31 - 1:,} users of one item", "more cannot be counted"],
        ["counts in float32", f"{2**24:,} users of two items",
         "more are rounded to 24 bits, as in every float32 XᵀX"],
    ]  # fmt: skip
    return table("design | up to | because", lines)


def measured_tables() -> str:
    """Overhead, speed-up and bytes, as measured."""
    here, there = MEASURED.get("local"), MEASURED.get("ray")
    one, two = MEASURED.get("xtx-1"), MEASURED.get("xtx-2")
    parts = []
    if here and there:
        lines = [
            [name, f"{row['seconds']:.1f} s", *(f"{_step(row, s):.1f} s" for s in STEPS)]
            for name, row in (("local, 2 threads", here), ("one node of Ray, 2 cores", there))
        ]
        ratio = there["seconds"] / here["seconds"]
        users, items, rows = SIZES["full"]
        parts += [
            "## One node of Ray beside a fit here\n",
            f"EASE on a generated log of {users:,} users, {items:,} items and {rows:,} "
            "interactions. The second fit divides the log into shards, adds up XᵀX in tasks, "
            "assembles it, inverts it in a task and hands the weights to the process that asked; "
            "the start of Ray and the compiling of kernels "
            f"({there['start_and_compile']:.0f} s) are not counted.\n",
            table("fit | all | XᵀX | inverse and what follows", lines),
            f"The ratio is **{ratio:.2f}** (goal: at most 1.15).\n",
            _about(here),
        ]
    if one and two:
        lines = [
            [str(count), f"{row['seconds']:.1f} s", f"{one['seconds'] / row['seconds']:.2f}",
             human_bytes(row["bytes_over_loopback"]), human_bytes(row["bytes_of_log"]),
             human_bytes(row["bytes_of_triangle"])]
            for count, row in ((1, one), (2, two))
        ]  # fmt: skip
        parts += [
            "\n## XᵀX by one process of one thread, and by two\n",
            "Two nodes of one core each, on one machine. *Moved* is what went over the loopback "
            "interface until all bands were fetched: the second node fetches the shards (the log) "
            "and its bands are fetched from it.\n",
            table("processes | seconds | speed-up | moved | log | triangle of XᵀX", lines),
            _about(two),
        ]
    return "\n".join(parts)


STEPS = ("Gram", "inverse")


def _step(row: Row, name: str) -> float:
    steps = row["steps"]
    if name == "Gram":
        return float(sum(s for label, s in steps.items() if "Gram" in label))
    return float(sum(s for label, s in steps.items() if "Gram" not in label))


def _about(row: Row) -> str:
    return f"({row['cpu']}, {row['cores']} cores, {row['date']}.)\n"


def slope_table(speed: Slopes) -> str:
    """The slopes, in nanoseconds of one thread."""
    lines = [
        ["an addition to XᵀX", f"{1e9 * speed.update:.2f} ns"],
        ["finding a user's items in a band", f"{1e9 * speed.scan:.1f} ns"],
        ["making a number of a band", f"{1e9 * speed.number:.2f} ns"],
        ["putting an interaction in order", f"{1e9 * speed.entry:.2f} ns"],
        ["adding a number of two bands", f"{1e9 * speed.addition:.2f} ns"],
        ["reading a row of a bucketed log", f"{1e9 * speed.row:.0f} ns"],
        ["an inverse in place", f"{1e-9 / speed.flop:.0f} Gflop/s"],
        ["an inverse in tiles, against it", f"{speed.tiled:.2f} ×"],
    ]
    return table("step | processor time of one thread", lines)


def page(cluster: Cluster) -> str:
    """The whole page."""
    speed, about = slopes(), MEASURED.get("slopes") or {}
    return "\n".join(
        [
            "# Closed-form fits past one machine\n",
            "Written by `benchmarks/cluster/costs.py`; no figure here is typed by hand.\n",
            "    python benchmarks/cluster/gram.py overhead\n"
            "    python benchmarks/cluster/gram.py processes\n"
            "    python benchmarks/cluster/gram.py slopes\n"
            "    python benchmarks/cluster/costs.py\n",
            measured_tables(),
            "\n## Slopes\n",
            slope_table(speed),
            _about(about),
            "\n## What billions of rows cost\n",
            f"Computed from the slopes, not measured. Users have {LENGTH} interactions each, with "
            f"a mean square of {SKEW} times the squared mean. Assumed of a machine: "
            f"{cluster.cores} cores that together are {cluster.scaling:.0%} of as many single "
            f"ones, {human_bytes(cluster.memory)} of memory ({STORE:.0%} for the object store, "
            f"{TASKS:.0%} for tasks), {8 * cluster.network / 1e9:.0f} Gbit/s, "
            f"{cluster.euros:.2f} euros an hour. There are as many machines as the object stores "
            "need to hold the log and XᵀX without spilling; more machines are faster at nearly "
            "the same price. Steps are counted one after the other. *Moved* counts what tasks "
            "fetch from other machines at most, without the copies that a machine keeps.\n",
            costs(cluster, speed),
            "\n## Where each design ends\n",
            limits(cluster, speed),
        ]
    )


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=32)
    parser.add_argument("--memory-gb", type=float, default=256)
    parser.add_argument("--network-gbit", type=float, default=25)
    parser.add_argument("--euros-per-core-hour", type=float, default=0.05)
    parser.add_argument("--scaling", type=float, default=0.7)
    chosen = parser.parse_args()
    cluster = Cluster(
        chosen.cores,
        chosen.memory_gb * 1e9,
        chosen.network_gbit / 8 * 1e9,
        chosen.euros_per_core_hour * chosen.cores,
        chosen.scaling,
    )
    PAGE.write_text(page(cluster))


if __name__ == "__main__":
    main()
