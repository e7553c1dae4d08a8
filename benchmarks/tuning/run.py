"""Quality reached per minute of tuning, by this library and by others. Writes tuning.md.

    SHOAL_DATA=… python benchmarks/tuning/run.py ml-1m      # RDLAE, 3 seeds of each way
    SHOAL_DATA=… python benchmarks/tuning/run.py gowalla    # RDLAE on 41,000 items
    SHOAL_DATA=… python benchmarks/tuning/run.py gowalla-10k   # on the 10,000 most popular of them
    SHOAL_DATA=… python benchmarks/tuning/run.py deep       # mult-vae on ml-1m, with halving
    SHOAL_DATA=… python benchmarks/tuning/run.py parts      # which part of a catalogue to search
    SHOAL_DATA=… python benchmarks/tuning/run.py rungs      # when to stop trainings
    python benchmarks/tuning/run.py page                    # the page alone, from the results

Each way runs in a process of its own, one after the other, in the order of its seeds. What stands
in results.jsonl already is not measured again, so a study that was killed goes on. Run it on a
quiet machine: the load before and after each run stands in its result.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shoal.splitting.held_out import Split

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/

from benchmarks.harness import data
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
MEMORY = 16 * 2**30  # bytes that a fit may take
SHARE = 0.1  # of each user's training items, for validation where a split is given


@dataclass(frozen=True)
class Study:
    """What is tuned on what, for how long, and how often."""

    model: str
    data: str
    minutes: float
    seeds: int
    ways: tuple[str, ...] = ("random", "optuna", "shoal")


STUDIES = {
    "ml-1m": Study("rdlae", "ml-1m", 5, 3),
    "gowalla": Study("rdlae", "gowalla", 25, 1),
    "gowalla-10k": Study("rdlae", "gowalla-10k", 4, 1),
    "deep": Study("mult-vae", "ml-1m", 10, 1, ("optuna", "shoal")),
}
PARTS = {"ml-1m": (10**6, [400, 800, 1600]), "gowalla": (10_000, [1000, 2000, 4000])}


def split_of(name: str) -> Split:
    """The data of a study with its training and validation parts."""
    if name == "ml-1m":
        return data.ml_1m()
    if name == "gowalla-10k":
        from benchmarks.tuning.parts import most_popular

        return most_popular(data.lightgcn("gowalla", validation=SHARE), 10_000)
    return data.lightgcn(name, validation=SHARE)


def in_its_own_process(command: Sequence[str], threads: int) -> Row:
    """Run a part of this script; the result, with the load of the machine before and after."""
    limit = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "NUMBA", "MKL")}
    before = os.getloadavg()[0]
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), *command, "--threads", str(threads)],
        stdout=subprocess.PIPE, text=True, check=False, env=os.environ | limit,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}; run it again to go on")
    row: Row = json.loads(done.stdout.splitlines()[-1])
    loads = {"load_before": round(before, 2), "load_after": round(os.getloadavg()[0], 2)}
    return row | loads | {"threads": threads, "cores": len(os.sched_getaffinity(0))}


def run(
    name: str, minutes: float | None, seeds: int | None, only: str | None, threads: int
) -> None:
    """All ways of a study, seed by seed, so that a machine that slows down slows all of them."""
    study = STUDIES[name]
    for seed in range(seeds or study.seeds):
        for way in only.split(",") if only else study.ways:
            command = ["one", name, "--only", way, "--seeds", str(seed)]
            command += ["--minutes", str(minutes or study.minutes)]
            RESULTS.once(
                f"{name}-{way}-{seed}", partial(in_its_own_process, command, threads), best
            )


def best(row: Row) -> str:
    """The best score of a way, for the terminal."""
    from benchmarks.tuning.page import curve

    return f"best {curve(row)[-1][1]:.4f}"


def one(name: str, way: str, seed: int, minutes: float, threads: int) -> Row:
    """One way of a study with one seed, in this process."""
    import shoal
    from benchmarks.tuning.arms import measure

    study = STUDIES[name]
    how = shoal.Run(seed=seed, threads=threads, memory=MEMORY)
    return measure(way, study.model, split_of(study.data), minutes, how)


def parts(names: Sequence[str], threads: int) -> None:
    """Which part of each catalogue to search."""
    for name in names:
        RESULTS.once(
            f"parts-{name}",
            partial(in_its_own_process, ["one-parts", name], threads),
            lambda row: f"{row['seconds']} s for the whole",
        )


def rungs() -> None:
    """Learning curves of random settings; each is the same however busy the machine is."""
    from benchmarks.tuning.rungs import TRAININGS

    for number in range(TRAININGS):
        RESULTS.once(
            f"rungs-{number:02d}",
            partial(in_its_own_process, ["one-rung", str(number)], 1),
            lambda row: f"{len(row['curve'])} epochs, best {max(row['curve']):.4f}",
        )


def main() -> None:
    """Run a study, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    hidden = ["one", "one-parts", "one-rung"]  # for the processes that this one starts
    parser.add_argument("part", choices=[*STUDIES, "parts", "rungs", "page", *hidden])
    parser.add_argument("name", nargs="?", help="parts: one data set instead of all")
    parser.add_argument("--minutes", type=float, help="of each way, instead of the study's own")
    parser.add_argument("--seeds", type=int, help="how many, instead of the study's own")
    parser.add_argument("--only", help="ways, by commas: random, optuna, shoal")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    if chosen.part == "one":
        row = one(chosen.name, chosen.only, chosen.seeds, chosen.minutes, chosen.threads)
        print(json.dumps(row))
        return
    if chosen.part == "one-parts":
        import shoal
        from benchmarks.tuning.parts import measure

        whole, sizes = PARTS[chosen.name]
        how = shoal.Run(threads=chosen.threads, memory=MEMORY)
        print(json.dumps(measure(split_of(chosen.name), whole, sizes, how)))
        return
    if chosen.part == "one-rung":
        from benchmarks.tuning.rungs import curve

        print(json.dumps(curve(int(chosen.name))))
        return
    if chosen.part == "rungs":
        rungs()
    elif chosen.part == "parts":
        parts([chosen.name] if chosen.name else list(PARTS), chosen.threads)
    elif chosen.part != "page":
        run(chosen.part, chosen.minutes, chosen.seeds, chosen.only, chosen.threads)
    from benchmarks.tuning import page

    (HERE / "tuning.md").write_text(page.render(RESULTS))
    page.plot(RESULTS, HERE / "tuning.png")


if __name__ == "__main__":
    main()
