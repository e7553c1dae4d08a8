"""ELSA with millions of items in one and in two processes: memory of each, and time of a step.

    python benchmarks/cluster/sharded_elsa.py                  # 2 million items, 64 factors
    python benchmarks/cluster/sharded_elsa.py --items 200000

The log is random: each item once, 50 for each user. ``torchrun`` starts the processes, each with
one thread. A step is a batch of 512 users with 2,000 drawn items; its time is the median over
epochs of the epoch's seconds divided by its steps, with the check of all weights after each epoch.
Memory is the peak of each process, less what it had before the fit (its log and torch), first up to
the end of the last epoch, then with the whole matrix that the first process gets. Results are kept
in sharded_elsa.jsonl; sharded_elsa.md is written from them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.page import table
from benchmarks.harness.results import Results, Row
from shoal.run import human_bytes

HERE = Path(__file__).parent
RESULTS = Results(HERE / "sharded_elsa.jsonl")
PAGE = HERE / "sharded_elsa.md"
EACH, FACTORS, BATCH, DRAWN, EPOCHS = 50, 64, 512, 2_000, 4


def peak() -> int:
    """Bytes that this process had at most so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def random_log(n_items: int) -> Any:
    """Users with random items, each item once."""
    import numpy as np
    import scipy.sparse as sp

    from shoal.data.accept import as_interactions

    columns = np.random.default_rng(0).permutation(n_items // EACH * EACH)
    rows = np.repeat(np.arange(n_items // EACH), EACH)
    return as_interactions(sp.csr_array((np.ones(len(rows)), (rows, columns))), "fit")


def train(n_items: int, folder: Path) -> None:
    """Fit in this process, one of several, and write what it took."""
    import torch

    from shoal.models.elsa import ELSA
    from shoal.run import Run

    torch.set_num_threads(1)
    log = random_log(n_items)
    before = peak()
    after_epochs: list[int] = []
    model = ELSA(
        factors=FACTORS, sampled=DRAWN, batch_size=BATCH, n_epochs=EPOCHS, strategy="default"
    )
    run = Run(threads=1, first_only=True, each_epoch=lambda _: after_epochs.append(peak()))
    model.fit(log, run=run)
    steps = -(-log.n_users // BATCH)
    found = {
        "step_seconds": statistics.median(row["seconds"] for row in model.curve[1:]) / steps,
        "losses": [row["loss"] for row in model.curve],
        "training_bytes": after_epochs[-1] - before,
        "peak_bytes": peak() - before,
    }
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(found))


def measured(n_items: int, processes: int) -> Row:
    """What each of some processes took."""
    with tempfile.TemporaryDirectory() as folder:
        torchrun = ["-m", "torch.distributed.run", "--standalone"]
        words = [sys.executable, *torchrun, f"--nproc-per-node={processes}", __file__]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            [*words, f"--items={n_items}", f"--folder={folder}"], check=True, env=environment
        )
        return {"each": [json.loads(f.read_text()) for f in sorted(Path(folder).iterdir())]}


def write_page(n_items: int) -> None:
    """The table of one size."""
    lines = []
    for processes in (1, 2):
        each = (RESULTS.get(f"{n_items}-{processes}") or {})["each"]
        seconds = max(row["step_seconds"] for row in each)
        training, whole = (
            " and ".join(human_bytes(row[name]) for row in each)
            for name in ("training_bytes", "peak_bytes")
        )
        loss = f"{each[0]['losses'][-1]:.6f}"
        lines.append((str(processes), training, whole, f"{1000 * seconds:.0f} ms", loss))
    exchanged = 4 * (BATCH * FACTORS + FACTORS**2)
    PAGE.write_text(
        "# ELSA with its item vectors divided among processes\n\n"
        f"Made by `python benchmarks/cluster/sharded_elsa.py --items {n_items}`: {n_items:,} items "
        f"× {FACTORS} factors (A has {human_bytes(4 * n_items * FACTORS)}), {n_items // EACH:,} "
        f"users with {EACH} items each, batches of {BATCH}, {DRAWN:,} drawn items, one thread "
        f"for each process, {os.cpu_count()} cores. A step exchanges {human_bytes(exchanged)}. "
        "The machine had other work to do, so times say little; memory and losses do not "
        "change.\n\n"
        + table("processes | memory in training | with A whole in the first | step | loss", lines)
    )


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.folder:
        train(asked.items, asked.folder)
        return
    for processes in (1, 2):
        RESULTS.once(
            f"{asked.items}-{processes}",
            partial(measured, asked.items, processes),
            lambda row: f"{1000 * row['each'][0]['step_seconds']:.0f} ms a step",
        )
    write_page(asked.items)


if __name__ == "__main__":
    main()
