"""Experiment files whose cells are tasks: the same figures as here, kept as they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import shoal
from shoal.cluster.local import LocalExecutor
from shoal.executor import Executor
from shoal.experiments.files.reading import read_experiment
from shoal.experiments.runs.folder import RunFolder
from shoal.experiments.runs.order import Order
from shoal.experiments.runs.start import choose_folder
from shoal.experiments.runs.work import run_experiment
from tests.cluster.killing import kills

ELSA = {"model": "elsa", "set": {"factors": 4, "n_epochs": 3}}
FILTER = {"model": "gf-cf", "set": {"factors": 4}}
EASE = {"model": "ease", "set": {"l2": 10}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two models, two seeds, one thread, on 80 readers of 40 books in two circles."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:02}", 20 * (u % 2) + int(i), 1000 * u + int(i))
        for u in range(80)
        for i in rng.choice(20, 9, replace=False)
    ]
    pl.DataFrame(rows, ["user", "item", "timestamp"], orient="row").write_csv(tmp_path / "log.csv")
    return write(tmp_path / "file.yaml")


def write(path: Path, **parts: Any) -> Path:
    content = {
        "name": "circles",
        "data": {"file": "log.csv"},
        "seeds": 2,
        "models": ["popularity", EASE, FILTER],
        "evaluation": {"metrics": ["ndcg@10", "recall@5"]},
        "run": {"threads": 1},
        "output": {"report": False},
    }
    path.write_text(yaml.safe_dump(content | parts, sort_keys=False))
    return path


def carry_out(file: Path, folder: str, executor: Executor | None, **more: Any) -> RunFolder:
    order = Order(read_experiment(file), executor=executor, **more)
    path = choose_folder(order, out=file.parent / folder, resume=None, new=False)
    return run_experiment(order, path)


def figures(folder: RunFolder) -> dict[tuple[str, str], Any]:
    """All figures that are no cost."""
    return {
        (model["label"], metric): value
        for model in folder.results["comparisons"][0]["models"]
        for metric, value in model["metrics"].items()
    }


def users(folder: RunFolder) -> pl.DataFrame:
    return pl.read_parquet(folder.path / "per_user.parquet").sort("seed", "model", "user")


def assert_alike(one: RunFolder, other: RunFolder) -> None:
    """The same values of each user, bit by bit."""
    assert one.status == other.status == "complete"
    assert users(one).equals(users(other))
    assert figures(one) == figures(other)


def test_figures_and_kept_models_are_those_of_a_run_here(file: Path, executor: Executor) -> None:
    write(file, models=["popularity", EASE, ELSA], output={"report": False, "models": "all"})
    there, here = carry_out(file, "there", executor), carry_out(file, "here", None)
    assert_alike(there, here)
    for label in ("popularity", "ease", "elsa"):
        one, other = (
            shoal.load(run.path / "models" / "log" / label).state() for run in (there, here)
        )
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    cells = [json.loads(p.read_text())["cell"] for p in (there.path / "cells").glob("*.json")]
    assert len(cells) == 6
    assert all(c["hardware"].startswith("1 thread of") and c["fit_seconds"] > 0 for c in cells)
    assert not (there.path / "checkpoints").exists()


def test_searches_come_first_and_are_those_of_a_run_here(file: Path, executor: Executor) -> None:
    tuning = {"trials": 3, "metric": "ndcg@10", "sampler": "random"}
    write(file, tuning=tuning, models=["item-knn", "rp3beta", "popularity"])
    assert_alike(carry_out(file, "there", executor), carry_out(file, "here", None))


def test_a_model_that_cannot_be_fitted_costs_no_other(file: Path, executor: Executor) -> None:
    log = pl.read_csv(file.parent / "log.csv").drop("timestamp")
    log.write_csv(file.parent / "log.csv")
    write(file, models=["svae", EASE, FILTER])
    there = carry_out(file, "there", executor)
    assert "svae reads histories in order of time" in there.read_json("refused.json")["log"]["svae"]
    assert {label for label, _ in figures(there)} == {"ease", "gf-cf"}
    assert users(there).equals(users(carry_out(file, "here", None)))


def test_a_run_that_was_ended_goes_on_with_what_is_missing(file: Path, executor: Executor) -> None:
    seen: list[str] = []

    def order() -> Order:
        return Order(read_experiment(file), executor=executor)

    def interrupt(data: str, cell: Any, number: int, total: int) -> None:
        seen.append(f"{cell.label} {cell.seed}")
        if len(seen) == 3:
            raise KeyboardInterrupt

    path = file.parent / "there"
    with pytest.raises(KeyboardInterrupt):
        run_experiment(order(), path, seen=interrupt)
    assert RunFolder(path).status == "interrupted"
    assert len(list((path / "cells").glob("*.json"))) == 3
    run_experiment(order(), path, seen=interrupt)
    assert len(set(seen)) == len(seen) == 6
    assert_alike(RunFolder(path), carry_out(file, "here", None))


def test_some_models_now_and_the_others_later(file: Path) -> None:
    executor = LocalExecutor(threads=1)
    assert carry_out(file, "there", executor, only=("ease",)).status == "partial"
    order = Order(read_experiment(file), executor=executor)
    there = run_experiment(order, file.parent / "there")
    assert_alike(there, carry_out(file, "here", None))


@pytest.mark.timeout(240)
def test_cells_whose_workers_are_killed_are_measured_again(file: Path, two_nodes: object) -> None:
    """Trainings go on from their checkpoints, which lie in the folder of the run."""
    from shoal.cluster.ray_executor import RayExecutor

    write(file, seeds=3, models=["popularity", EASE, ELSA])
    with kills(seed=0, times=5, within=0.5, task="fit_one_cell") as killed:
        there = carry_out(file, "there", RayExecutor())
    assert len(killed) >= 4
    assert_alike(there, carry_out(file, "here", None))
    assert not (there.path / "checkpoints").exists()
