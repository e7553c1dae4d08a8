"""Deep models on two nodes: what a training here gives, whatever happens to the processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import shoal
from shoal.errors import TrainingError
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing import toys
from tests.cluster.killing import kills, workers

pytest.importorskip("torch")

pytestmark = pytest.mark.timeout(300)  # Ray Train starts nine processes, which import torch

ROOT = Path(__file__).parents[2]
SMALL = {"n_epochs": 4, "batch_size": 16, "factors": 8}


def parts() -> Any:
    rng = np.random.default_rng(1)
    log = toys.from_dense((rng.random((90, 30)) < 0.25).astype(float))
    return shoal.split(log, "strong", test=0.2, validation=0.2)


def fitted(name: str, settings: dict[str, Any], **how: Any) -> Any:
    split = parts()
    return by_name(name)(**settings).fit(split.train, split.validation, Run(threads=1, **how))


TORCHRUN = """
import json, os, sys
import numpy as np
from tests.cluster.test_training import fitted
model = fitted(sys.argv[1], json.loads(sys.argv[2]))
if os.environ["RANK"] == "0":
    np.savez(sys.argv[3], curve=[row["loss"] for row in model.curve], **model.state())
"""


def by_torchrun(name: str, settings: dict[str, Any], folder: Path, processes: int = 2) -> Any:
    """The losses and the state of a model that processes on this machine trained together."""
    script, out = folder / "script.py", folder / f"{name}{processes}.npz"
    script.write_text(TORCHRUN)
    how = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    done = subprocess.run(
        [sys.executable, *how, script, name, json.dumps(settings), out],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT}/src"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(out)


def titles(processes: list[psutil.Process]) -> list[str]:
    return [p.cmdline()[0] for p in processes if p.is_running() and p.cmdline()]


@pytest.fixture
def cluster(two_nodes: object) -> Any:
    from shoal.cluster.ray_executor import RayExecutor

    return RayExecutor()


def test_two_machines_learn_what_one_process_does(cluster: Any, tmp_path: Path) -> None:
    """Batches of 16, of which each process has 8: equal but for the order of float32 sums."""
    settings = SMALL | {"dropout": 0.0}  # noise is drawn by each process for its own rows
    log, asked = tmp_path / "log.jsonl", []

    def end(epoch: int, metric: float) -> bool:
        asked.append((epoch, metric))
        return epoch == 3

    here = fitted("mult-dae", settings, after_epoch=lambda epoch, metric: epoch == 3)
    there = fitted("mult-dae", settings, executor=cluster, training_log=log, after_epoch=end)
    for name, array in here.state().items():
        np.testing.assert_allclose(there.state()[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert rows == [{"model": "mult-dae"} | row for row in there.curve]
    assert asked == [(row["epoch"], row["ndcg@100"]) for row in there.curve]
    for name in ("epoch", "loss", "ndcg@100"):
        values = [[row[name] for row in model.curve] for model in (here, there)]
        np.testing.assert_allclose(*values, rtol=1e-4)
    assert there.until_best().n_epochs == here.until_best().n_epochs


@pytest.mark.timeout(600)
def test_killed_processes_leave_the_bits_as_they_are(cluster: Any, tmp_path: Path) -> None:
    """Those that train, the one that watches them, the one that launches, and a queue."""
    settings, log = SMALL | {"n_epochs": 20, "patience": 0}, tmp_path / "log.jsonl"
    with (
        kills(seed=1, times=4, within=5.0, task="RayTrainWorker") as trainers,
        kills(seed=2, times=1, within=15.0, task="TrainController") as controllers,
        kills(seed=3, times=1, within=30.0, task="_launch") as launchers,
        kills(seed=4, times=1, within=45.0, task="_QueueActor") as queues,
    ):
        model = fitted("mult-vae", settings, executor=cluster, training_log=log)
    killed = trainers + controllers + launchers + queues
    assert len(trainers) >= 2, killed
    whole = by_torchrun("mult-vae", settings, tmp_path)
    assert [row["loss"] for row in model.curve] == whole["curve"].tolist()
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, whole[name], err_msg=name)
    epochs = [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    assert epochs == list(range(1, 21))


def test_item_vectors_that_are_divided_are_those_of_one_process(cluster: Any) -> None:
    settings = SMALL | {"sampled": 7}
    here, there = fitted("elsa", settings), fitted("elsa", settings, executor=cluster)
    for name in ("loss", "ndcg@100"):
        values = [[row[name] for row in model.curve] for model in (here, there)]
        np.testing.assert_allclose(*values, rtol=1e-5)
    np.testing.assert_allclose(there.vectors(), here.vectors(), rtol=1e-4, atol=1e-5)


def test_an_error_of_a_process_is_that_of_the_fit(cluster: Any, tmp_path: Path) -> None:
    fitted("mult-dae", SMALL | {"n_epochs": 1}, checkpoint=tmp_path)
    with pytest.raises(TrainingError, match=r"belongs to another training: seed 0 \(now 3\)"):
        fitted("mult-dae", SMALL | {"n_epochs": 1}, executor=cluster, checkpoint=tmp_path, seed=3)
    assert [file.name for file in tmp_path.iterdir()] == ["mult-dae.safetensors"]
    until = time.monotonic() + 30  # nothing is left that trains, nor the cores that it had
    while trained := [t for t in titles(workers()) if "Train" in t]:
        assert time.monotonic() < until, trained
        time.sleep(0.1)
    assert cluster.map(divmod, [7, 8, 9], 4) == [(1, 3), (2, 0), (2, 1)]
