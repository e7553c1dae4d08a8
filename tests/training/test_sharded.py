"""ELSA's rows divided among processes: the same training as in one, to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import shoal
from shoal.errors import MemoryBudgetError
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training.sharded import ItemRows, Rows

from .test_layers import batch_of, counts

HERE = Path(__file__).parent
MODELS = {
    "exact": ("elsa", {"factors": 8}),
    "sampled": ("elsa", {"factors": 8, "sampled": 7}),
    "compressed": ("compressed-elsa", {"factors": 8, "nonzeros": 3, "pruning": 2}),
}


def parts() -> Any:
    rng = np.random.default_rng(1)
    return shoal.split(
        from_dense((rng.random((90, 31)) < 0.2).astype(float)), "strong", test=0.2, validation=0.2
    )


def fitted(which: str, n_epochs: int = 5, **how: Any) -> Any:
    name, settings = MODELS[which]
    split = parts()
    settings = settings | {"n_epochs": n_epochs, "batch_size": 16, "patience": 0}
    return by_name(name)(**settings).fit(split.train, split.validation, Run(threads=1, **how))


SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from tests.training.test_sharded import MODELS, fitted
how = json.loads(sys.argv[3])
dies = how.pop("dies", None)

def end(row):
    if row["epoch"] == dies and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)

if "checkpoint" in how:
    how["checkpoint"] = Path(how["checkpoint"])
for which in how.pop("which", MODELS):
    how["each_epoch"] = end
    model = fitted(which, **how)
    rank = os.environ["RANK"]
    if how.get("first_only") and rank != "0":
        assert model._vectors is None
        continue
    curve = [(row["loss"], row["ndcg@100"]) for row in model.curve]
    np.savez(f"{sys.argv[2]}/{which}{rank}.npz", curve=curve, **model.state())
"""


def together(folder: Path, processes: int = 2, **how: Any) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT)
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    return subprocess.run(
        [sys.executable, *torchrun, script, str(HERE.parents[1]), str(folder), json.dumps(how)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what two processes learned."""
    folder = tmp_path_factory.mktemp("two")
    done = together(folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.parametrize("which", MODELS)
def test_processes_that_hold_parts_learn_what_one_does(which: str, by_two: Path) -> None:
    here = fitted(which)
    for rank in (0, 1):
        there = np.load(by_two / f"{which}{rank}.npz")
        curve = [(row["loss"], row["ndcg@100"]) for row in here.curve]
        np.testing.assert_allclose(there["curve"], curve, rtol=1e-5)
        for name, array in here.state().items():
            np.testing.assert_allclose(there[name], array, rtol=2e-4, atol=2e-5, err_msg=name)


def test_only_the_first_process_needs_all_rows(tmp_path: Path) -> None:
    done = together(tmp_path, 3, first_only=True, which=["exact", "compressed"])
    assert done.returncode == 0, done.stderr[-2000:]
    for which in ("exact", "compressed"):
        there = np.load(tmp_path / f"{which}0.npz")
        for name, array in fitted(which).state().items():
            np.testing.assert_allclose(there[name], array, rtol=2e-4, atol=2e-5)


def test_a_training_with_a_lost_process_ends_and_goes_on_to_the_same_bits(
    by_two: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    how: dict[str, Any] = {"which": ["sampled"], "checkpoint": str(kept)}
    done = together(tmp_path, dies=3, **how)  # it does not wait for the one that was killed
    assert done.returncode != 0
    names = [f"elsa-{part}-of-2-{slot}.safetensors" for part in (1, 2) for slot in "ab"]
    assert sorted(file.name for file in kept.iterdir()) == names
    newest = max(kept.glob("elsa-2-*"), key=lambda file: file.stat().st_mtime)
    newest.unlink()  # as if it had been killed while it wrote; both go on from the one before
    done = together(tmp_path, **how)
    assert done.returncode == 0, done.stderr[-2000:]
    for rank in (0, 1):
        whole, there = (np.load(f / f"sampled{rank}.npz") for f in (by_two, tmp_path))
        for name in whole.files:
            np.testing.assert_array_equal(there[name], whole[name], err_msg=name)
    for file in kept.glob("elsa-2-*"):
        file.write_bytes(file.read_bytes()[:100])
    done = together(tmp_path, **how)
    assert done.returncode != 0
    assert "is damaged" in done.stderr


def test_the_first_values_are_those_of_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (3, 2**14 + 5, 5 * 2**13, 5 * 2**13 + 1):
        torch.manual_seed(3)
        expected = torch.randn(n, 3) * 0.1
        found = []
        for number in range(3):
            monkeypatch.setenv("RANK", str(number))
            monkeypatch.setenv("WORLD_SIZE", "3")
            torch.manual_seed(3)
            found.append(ItemRows(n, 3, 0.1)["A"].detach())
        torch.testing.assert_close(torch.cat(found), expected, rtol=0, atol=0)


def test_the_entries_of_a_batch_are_divided() -> None:
    X = counts(5, 11)
    batch = batch_of(X)
    for number in range(3):
        rows = Rows(11, number, 3)
        own = rows.own(batch)
        dense = torch.zeros(5, rows.count).index_put((own.rows, own.columns), own.values)
        assert np.array_equal(dense.numpy(), X.toarray()[:, rows.first : rows.last])
        assert own.indptr.tolist() == [0, *(dense != 0).sum(dim=1).cumsum(0).tolist()]


def test_the_memory_of_a_process_is_that_of_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    log = parts().train
    model = by_name("elsa")(factors=16)
    need = model.bytes_to_fit(log.size)
    with pytest.raises(MemoryBudgetError):
        model.check_budget(log, need - 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    model.check_budget(log, need - 1)
    with pytest.raises(MemoryBudgetError, match="in each of 2 processes"):
        model.check_budget(log, need // 8)
