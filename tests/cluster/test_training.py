"""Deep models on two nodes: what a training here gives, whatever happens to the processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.errors import DataError, TrainingError
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing import toys
from tests.cluster.killing import kills


pytest.importorskip("torch")

SMALL = {"n_epochs": 4, "batch_size": 16, "factors": 8}


def parts() -> Any:
    rng = np.random.default_rng(1)
    log = toys.from_dense((rng.random((90, 30)) < 0.25).astype(float))
    return shoal.split(log, "strong", test=0.2, validation=0.2)


@pytest.fixture
def cluster(two_nodes: object) -> Any:
    from shoal.cluster.ray_executor import RayExecutor

    return RayExecutor()


def test_two_machines_learn_what_one_process_does(cluster: Any, tmp_path: Path) -> None:
    """Batches of 16, of which each process has 8: equal but for the order of float32 sums."""
    split = parts()
    settings = SMALL | {"dropout": 0.0}  # noise is drawn by each process for its own rows
    here = by_name("mult-dae")(**settings).fit(split.train, split.validation, Run(threads=1))
    log = tmp_path / "log.jsonl"
    run = Run(threads=1, executor=cluster, training_log=log)
    there = by_name("mult-dae")(**settings).fit(split.train, split.validation, run)
    for name, array in here.state().items():
        np.testing.assert_allclose(there.state()[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert rows == [{"model": "mult-dae"} | row for row in there.curve]
    for name in ("loss", "ndcg@100"):
        np.testing.assert_allclose(
            [row[name] for row in there.curve], [row[name] for row in here.curve], rtol=1e-4
        )
    assert there.until_best().n_epochs == here.until_best().n_epochs


def deep(name: str, executor: Any = None, **how: Any) -> Any:
    split = parts()
    run = Run(threads=1, executor=executor, **how)
    return by_name(name)(**SMALL).fit(split.train, split.validation, run)


def same_bits(a: Any, b: Any) -> bool:
    one, two = a.state(), b.state()
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


@pytest.mark.timeout(600)
def test_killed_processes_leave_the_bits_as_they_are(cluster: Any, tmp_path: Path) -> None:
    """Any process of the training: its workers, the controller, the queues, what launches them."""
    whole, killed = deep("mult-vae", cluster), []
    for seed in range(3):
        with kills(seed=seed, times=3, within=6.0) as now:
            again = deep("mult-vae", cluster, checkpoint=tmp_path / str(seed))
        killed += now
        assert same_bits(again, whole)
        assert [row["loss"] for row in again.curve] == [row["loss"] for row in whole.curve]
    print(killed)
    assert len(killed) >= 6
