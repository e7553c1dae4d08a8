"""`Run.after_epoch` ends a training after an epoch, and changes nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing.contract import from_dense

SMALL = {"n_epochs": 6, "batch_size": 16, "factors": 8}
HERE = Path(__file__).parent


def parts() -> shoal.Split:
    rng = np.random.default_rng(1)
    log = from_dense((rng.random((90, 30)) < 0.25).astype(float))
    return shoal.split(log, "strong", test=0.2, validation=0.2)


def fitted(model: str, n_epochs: int = 6, **how: Any) -> Any:
    split = parts()
    settings = SMALL | {"n_epochs": n_epochs}
    return by_name(model)(**settings).fit(split.train, split.validation, Run(threads=1, **how))


def same_bits(a: Any, b: Any) -> bool:
    one, two = a.state(), b.state()
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


@pytest.mark.parametrize("model", ["mult-vae", "elsa"])
def test_it_ends_after_the_epoch_with_the_bits_of_a_fit_of_so_many(model: str) -> None:
    told: list[tuple[int, float]] = []

    def end(epoch: int, metric: float) -> bool:
        told.append((epoch, metric))
        return epoch == 3

    ended, short = fitted(model, after_epoch=end), fitted(model, 3)
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert [metric for _, metric in told] == [row["ndcg@100"] for row in short.curve]
    assert same_bits(ended, short)
    assert ended.facts == short.facts


def test_without_validation_nobody_is_asked() -> None:
    def end(epoch: int, metric: float) -> bool:
        raise AssertionError("there is no metric to decide by")

    model = by_name("mult-vae")(**SMALL).fit(parts().train, run=Run(after_epoch=end))
    assert len(model.curve) == 6


def test_a_rating_model_ends_by_its_own_metric() -> None:
    rng = np.random.default_rng(2)
    rated = np.where(rng.random((60, 25)) < 0.4, rng.integers(1, 6, (60, 25)), 0)
    ratings = shoal.split_ratings(from_dense(rated.astype(float)), "random", seed=0)
    told: list[float] = []

    def end(epoch: int, metric: float) -> bool:
        told.append(metric)
        return epoch == 2

    model = by_name("i-autorec")(n_epochs=5).fit(
        ratings.train, ratings.validation, Run(after_epoch=end)
    )
    assert told == [row["neg_rmse"] for row in model.curve]
    assert len(told) == 2


def test_a_checkpoint_goes_on_to_what_it_would_have_been(tmp_path: Path) -> None:
    fitted("mult-vae", after_epoch=lambda epoch, metric: epoch == 2, checkpoint=tmp_path)
    asked: list[int] = []
    rest = fitted(
        "mult-vae",
        after_epoch=lambda epoch, metric: bool(asked.append(epoch)),
        checkpoint=tmp_path,
    )
    assert asked == [3, 4, 5, 6]
    assert same_bits(rest, fitted("mult-vae"))


def test_a_member_of_an_ensemble_is_not_ended() -> None:
    split = parts()
    members = "mult-dae(n_epochs=2;factors=4)+ease"
    product: Any = by_name("product")(parts=members, mode="ensemble").fit(
        split.train, split.validation, Run(after_epoch=lambda epoch, metric: True)
    )
    assert len(product.members[0].curve) == 2


TOGETHER = """
import json, os, sys
sys.path.insert(0, sys.argv[2])
from test_after_epoch import fitted
rank = os.environ["RANK"]
asked = []

def end(epoch, metric):
    asked.append(epoch)
    return epoch == 2

model = fitted("mult-dae", after_epoch=end)
with open(f"{sys.argv[1]}/{rank}.json", "w") as file:
    json.dump({"asked": asked, "epochs": len(model.curve)}, file)
"""


def test_of_two_processes_the_first_decides_for_both(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(TOGETHER)
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [sys.executable, *torchrun, str(tmp_path / "script.py"), str(tmp_path), str(HERE)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert told == [{"asked": [1, 2], "epochs": 2}, {"asked": [], "epochs": 2}]
