"""Deep models from the command line: chosen epochs, checkpoints, what is said without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")

SMALL = "factors=8,batch_size=20,lr=0.01"


@pytest.fixture
def likes(tmp_path: Path) -> Path:
    """Two circles of readers with tastes that do not meet."""
    rng = np.random.default_rng(0)
    rows = [
        (u, 100 * (u % 2) + i) for u in range(80) for i in rng.choice(20, 8, replace=False).tolist()
    ]
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(tmp_path / "likes.csv")
    return tmp_path / "likes.csv"


def shoal(*arguments: object, launch: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launch, "-m", "shoal", *map(str, arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_train_chooses_the_epochs_then_uses_everyone(likes: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ("--training-log", log, "--checkpoint", tmp_path / "state")
    done = shoal(
        *("train", likes, "--model", "mult-dae", "--set", SMALL, "--out", tmp_path / "m"),
        *("--json", *options),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    epochs = found["parameters"]["n_epochs"]
    assert 1 <= epochs <= 100
    assert found["facts"]["epochs"] == epochs
    assert len(log.read_text().splitlines()) == epochs
    assert (tmp_path / "state" / "mult-dae.safetensors").is_file()
    done = shoal("recommend", tmp_path / "m", "--history", "0,1,2", "-k", 5, "--json")
    items = [row["id"] for row in json.loads(done.stdout)["items"]]
    assert len(items) == 5
    assert all(0 <= i < 20 for i in items)  # of the same circle


def test_two_processes_write_one_model_and_speak_once(likes: Path, tmp_path: Path) -> None:
    launch = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    done = shoal(
        *("train", likes, "--model", "mult-dae", "--set", SMALL + ",n_epochs=3"),
        *("--out", tmp_path / "m", "--json"),
        launch=launch,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"]["epochs"] == 3
    assert (tmp_path / "m" / "manifest.json").is_file()


def test_a_preset_is_a_setting(likes: Path, tmp_path: Path) -> None:
    done = shoal(
        *("evaluate", likes, "--model", "mult-vae", "--metrics", "ndcg@10", "--json"),
        *("--set", "preset=large-batch,n_epochs=2,hidden=8,factors=4"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"]["batch_size"] == 8192
    done = shoal("evaluate", likes, "--model", "mult-vae", "--set", "preset=none-such")
    assert done.returncode == 2
    assert "large-batch" in done.stderr
