"""The loop: early stopping, trouble, checkpoints after a kill, two processes for one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import shoal
from shoal.errors import MissingExtraError, TrainingError, TrainingWarning
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing.contract import from_dense
from shoal.training.batches import Batch
from shoal.training.learner import Clock, Phase, TrainingPlan
from shoal.training.loop import train

HERE = Path(__file__).parent


def examples(m: int = 20, n: int = 6) -> sp.csr_array:
    rng = np.random.default_rng(0)
    return sp.csr_array((rng.random((m, n)) < 0.5).astype(np.float32))


class Counting:
    """A learner with one number, that goes up by `lr` with each update."""

    def __init__(
        self,
        losses: list[float] | None = None,
        schedule: Any = None,
        scores: list[float] | None = None,
    ) -> None:
        self.network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.network.weight)
        optimiser = torch.optim.SGD(self.network.parameters(), lr=1.0)
        self.phases = [Phase(optimiser, schedule=schedule)]
        self.seen: list[Any] = []
        self._given, self._scores = iter(losses or []), iter(scores or [])

    def losses(
        self, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        self.seen.append((clock.epoch, clock.updates, clock.rows, batch.users.tolist()))
        yield -self.network.weight.sum() + next(self._given, 0.0)

    def scores(self, rows: Any) -> Any:
        return np.full(rows.shape, next(self._scores, self.value), np.float32)

    @property
    def value(self) -> float:
        return self.network.weight.item()


def test_every_row_once_in_each_epoch_in_an_order_of_its_own() -> None:
    learner = Counting()
    outcome = train(learner, examples(), TrainingPlan(2, 6))
    orders = [[u for e, *_, users in learner.seen if e == epoch for u in users] for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
    assert orders[0] != orders[1]
    assert [s[1] for s in learner.seen] == list(range(8))
    assert [s[2] for s in learner.seen] == [0, 6, 12, 18, 20, 26, 32, 38]
    assert learner.value == 8  # without a judge the last weights stay
    assert [row["updates"] for row in outcome.curve] == [4, 8]


def test_the_best_weights_are_kept_and_patience_ends_it() -> None:
    learner = Counting()
    values = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.9])
    outcome = train(learner, examples(), TrainingPlan(6, 20, patience=3), lambda: next(values))
    assert (outcome.best_epoch, outcome.best) == (2, 0.5)
    assert len(outcome.curve) == 5
    assert learner.value == 2


def test_ended_from_outside_the_best_weights_are_kept_too() -> None:
    learner, values = Counting(), iter([0.1, 0.5, 0.4, 0.6])
    run = Run(after_epoch=lambda epoch, metric: metric == 0.4)
    outcome = train(learner, examples(), TrainingPlan(6, 20), lambda: next(values), run)
    assert (outcome.best_epoch, outcome.best) == (2, 0.5)
    assert len(outcome.curve) == 3
    assert learner.value == 2


def test_only_judged_epochs_can_be_the_last() -> None:
    asked: list[int] = []
    run = Run(after_epoch=lambda epoch, metric: bool(asked.append(epoch)))
    train(Counting(), examples(), TrainingPlan(5, 20, every=2), lambda: 0.5, run)
    assert asked == [2, 4, 5]


def test_judged_every_so_many_epochs_and_at_the_end() -> None:
    learner, calls = Counting(), []

    def judge() -> float:
        calls.append(learner.value)
        return learner.value

    train(learner, examples(), TrainingPlan(5, 20, every=2), judge)
    assert calls == [2, 4, 5]


def test_the_schedule_is_a_factor_by_epoch() -> None:
    learner = Counting(schedule=lambda epoch: 0.5**epoch)
    train(learner, examples(), TrainingPlan(3, 20))
    assert learner.value == 1 + 0.5 + 0.25


def test_a_phase_is_told_when_an_epoch_begins() -> None:
    learner, told = Counting(), []
    (phase,) = learner.phases
    learner.phases = [replace(phase, begin=lambda epoch: told.append((epoch, len(learner.seen))))]
    train(learner, examples(), TrainingPlan(3, 10))
    assert told == [(0, 0), (1, 2), (2, 4)]


def test_a_loss_that_is_no_number_names_its_batch() -> None:
    with pytest.raises(TrainingError, match=r"epoch 1, batch 3.*lower lr"):
        train(Counting([0, 0, float("nan")]), examples(), TrainingPlan(2, 5))


def test_good_weights_survive_a_loss_that_is_no_number() -> None:
    learner = Counting([0, 0, 0, 0, 0, float("inf")])
    with pytest.warns(TrainingWarning, match=r"epoch 2, batch 2.*kept the weights of epoch 1"):
        outcome = train(learner, examples(), TrainingPlan(5, 5), lambda: 0.3)
    assert outcome.best_epoch == 1
    assert learner.value == 4


class _Twice(Counting):
    def losses(
        self, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        yield -self.network.weight.sum()
        assert self.value == clock.updates  # the first step has been made
        yield -self.network.weight.sum()


def test_each_loss_of_a_batch_is_a_step() -> None:
    learner = _Twice()
    train(learner, examples(), TrainingPlan(1, 10))
    assert learner.value == 4


# -- models on it ---------------------------------------------------------------------------

SMALL = {"n_epochs": 6, "batch_size": 16, "factors": 8}


def data() -> shoal.Interactions:
    rng = np.random.default_rng(1)
    return from_dense((rng.random((90, 30)) < 0.25).astype(float))


def test_the_log_is_the_learning_curve(tmp_path: Path) -> None:
    split = shoal.split(data(), "strong", test=0.2, validation=0.2)
    file = tmp_path / "log.jsonl"
    model = by_name("mult-dae")(**SMALL).fit(split.train, split.validation, Run(training_log=file))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert rows == [{"model": "mult-dae"} | epoch for epoch in model.curve]
    assert [r["epoch"] for r in rows] == [1, 2, 3, 4, 5, 6]
    best = max(rows, key=lambda r: r["ndcg@100"])
    assert model.facts["best_epoch"] == best["epoch"]
    assert split.validation is not None
    again = shoal.evaluate(model, split.validation, "ndcg@30")["ndcg@30"]
    assert again == pytest.approx(best["ndcg@100"])  # 30 items: the list is cut there


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    state = [
        by_name("mult-vae")(**SMALL).fit(data(), run=Run(seed=s, threads=1)).state()
        for s in (1, 1, 2)
    ]
    assert all(np.array_equal(state[0][n], state[1][n]) for n in state[0])
    assert not np.array_equal(state[0]["decode.weight"], state[2]["decode.weight"])


KILLED = """
import os, signal, sys
from contextlib import contextmanager
sys.path.insert(0, sys.argv[2])
from test_loop import SMALL, data
from shoal.models.registry import by_name
from shoal.run import Run, Silent

class Deadly(Silent):
    @contextmanager
    def step(self, label, total=None):
        with super().step(label, total) as quiet:
            class Step:
                count = 0
                def advance(self, amount=1):
                    self.count += 1
                    if self.count == 21:  # in the middle of the fourth epoch
                        os.kill(os.getpid(), signal.SIGKILL)
                def note(self, text):
                    pass
            yield Step()

by_name("mult-vae")(**SMALL).fit(
    data(), run=Run(threads=1, checkpoint=sys.argv[1], progress=Deadly())
)
"""


def test_after_a_kill_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(HERE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    whole = by_name("mult-vae")(**SMALL).fit(data(), run=Run(threads=1))
    rest = by_name("mult-vae")(**SMALL).fit(data(), run=Run(threads=1, checkpoint=tmp_path))
    assert [r["epoch"] for r in rest.curve] == [1, 2, 3, 4, 5, 6]
    assert [r["loss"] for r in rest.curve] == [r["loss"] for r in whole.curve]
    for name, array in whole.state().items():
        np.testing.assert_array_equal(rest.state()[name], array, err_msg=name)
    # a training that is over is not begun again
    again = by_name("mult-vae")(**SMALL).fit(data(), run=Run(threads=1, checkpoint=tmp_path))
    assert again.curve == rest.curve


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    run = Run(threads=1, checkpoint=tmp_path)
    by_name("mult-dae")(**SMALL).fit(data(), run=run)
    with pytest.raises(TrainingError, match=r"parameters\.dropout 0\.5 \(now 0\.1\)"):
        by_name("mult-dae")(**SMALL, dropout=0.1).fit(data(), run=run)
    with pytest.raises(TrainingError, match="seed 0"):
        by_name("mult-dae")(**SMALL).fit(data(), run=Run(seed=1, checkpoint=tmp_path))


def test_a_damaged_checkpoint_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    run = Run(threads=1, checkpoint=tmp_path)
    by_name("mult-dae")(**SMALL).fit(data(), run=run)
    file = tmp_path / "mult-dae.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"damaged.*delete it"):
        by_name("mult-dae")(**SMALL).fit(data(), run=run)


TOGETHER = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_loop import SMALL, data
from shoal.models.registry import by_name
from shoal.run import Run
import os
import shoal
split = shoal.split(data(), "strong", test=0.2, validation=0.2)
settings = SMALL | {"dropout": 0.0}  # noise is drawn by each process for its own rows
model = by_name("mult-dae")(**settings).fit(split.train, split.validation, Run(threads=1))
if os.environ.get("RANK", "0") == "0":
    np.savez(sys.argv[1], curve=[r["loss"] for r in model.curve], **model.state())
"""


def test_two_processes_do_what_one_does_with_the_whole_batch(tmp_path: Path) -> None:
    """Batches of 16, of which each process has 8: equal but for the order of float32 sums."""
    arguments = [str(HERE)]
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    (tmp_path / "script.py").write_text(TOGETHER)
    for name, how in (("one", []), ("two", torchrun)):
        command = [sys.executable, *how, str(tmp_path / "script.py"), str(tmp_path / name)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (np.load(tmp_path / f"{name}.npz") for name in ("one", "two"))
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_values_without_a_threshold_are_refused() -> None:
    log = data()
    values = np.full(len(log), 3, np.float32)
    with pytest.raises(shoal.errors.DataError, match="--min-value"):
        by_name("cdae")(**SMALL).fit(replace(log, values=values))


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(shoal.errors.ModelError, match="torch sees 0 CUDA devices"):
        by_name("mult-dae")(**SMALL).fit(data(), run=Run(device="cuda"))


def test_without_torch_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'shoal\[deep\]'"):
        by_name("mult-vae")(**SMALL).fit(data())


def test_a_comparison_goes_on_without_a_model_that_refuses() -> None:
    parts = shoal.split(data(), "strong", validation=5, test=10)  # it has no times
    found = shoal.compare(parts, ["svae", "popularity"], metrics=["ndcg@10"])
    assert [entry.evaluation.model for entry in found.entries] == ["popularity"]
    assert "time" in found.refused["svae"]


def test_a_checkpoint_of_another_order_is_refused(tmp_path: Path) -> None:
    log = data()
    times = np.random.default_rng(0).permutation(len(log))
    small = {"embedding": 4, "state_size": 4, "hidden": 4, "factors": 2, "n_epochs": 1}
    run = Run(checkpoint=tmp_path / "c", training_log=tmp_path / "c" / "log.jsonl", threads=1)
    by_name("svae")(**small).fit(replace(log, times=times), run=run)
    with pytest.raises(TrainingError, match="order"):
        by_name("svae")(**small).fit(replace(log, times=-times), run=run)


def test_a_comparison_without_torch_has_the_models_that_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = shoal.split(data(), "strong", validation=5, test=10)
    shoal.compare(parts, ["popularity"], metrics=["ndcg@10"])  # scipy looks for torch when loaded
    monkeypatch.setitem(sys.modules, "torch", None)
    found = shoal.compare(parts, ["mult-vae", "popularity"], metrics=["ndcg@10"])
    assert [entry.evaluation.model for entry in found.entries] == ["popularity"]
    assert "shoal[deep]" in found.refused["mult-vae"]
    with pytest.raises(MissingExtraError):
        shoal.compare(parts, ["mult-vae"], metrics=["ndcg@10"])


def test_the_threads_of_torch_are_there_before_those_of_numba() -> None:
    """Loaded after numba's threads, it would share them: two to three times as slow."""
    code = """
import sys, numpy as np, shoal
from pathlib import Path
from shoal.models.registry import by_name
def theirs():
    return {l.split()[-1] for l in Path("/proc/self/maps").read_text().splitlines()
            if "torch/lib/libgomp" in l}
by_name("ease")()
assert "torch" not in sys.modules and not theirs()
by_name("mult-vae")()
assert theirs() or "torch" in sys.modules
early = theirs()
import torch
assert theirs() == early  # torch uses what was loaded for it
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


REFUSED = """
import sys
from shoal.testing.contract import from_dense
import numpy as np
from shoal.errors import MemoryBudgetError
from shoal.experiments.warmup import warm_up
from shoal.models.registry import by_name
from shoal.run import Run
log = from_dense((np.random.default_rng(0).random((50, 40)) < 0.3).astype(float))
for name in sys.argv[1:]:
    model, run = by_name(name)(), Run(memory=1000, device="auto")
    warm_up(model, log, run)
    try:
        model.fit(log, run=run)
    except MemoryBudgetError:
        continue
    raise SystemExit(f"{name} was not refused")
assert "torch" not in sys.modules, "torch was loaded for a refusal"
"""


def test_a_fit_that_is_refused_does_not_load_torch() -> None:
    names = ["ease", "slim", "spectral-ease", "mult-vae", "vasp", "elsa", "hvamp"]
    subprocess.run([sys.executable, "-c", REFUSED, *names], check=True, timeout=300)


def test_bfloat16_learns_the_same_to_its_precision() -> None:
    losses = [
        by_name("mult-dae")(**SMALL).fit(data(), run=Run(precision=p)).curve[-1]["loss"]
        for p in ("float32", "bfloat16")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
