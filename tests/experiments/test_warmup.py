"""`warm_up`: what it loads, when, and that it leaves everything as it was."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import ModelError
from shoal.experiments import speeds, warmup
from shoal.experiments.comparison import measure as experiment
from shoal.experiments.warmup import tiny_log, warm_up
from shoal.models.popularity import Popularity
from shoal.models.registry import create
from shoal.run import Run, Silent
from shoal.splitting.split import HeldOut
from shoal.testing import from_dense
from shoal.testing.toys import two_kinds

ONE = Run(threads=1)


@pytest.fixture(autouse=True)
def _cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has warmed up for nothing yet."""
    monkeypatch.setattr(warmup, "_warm", set())


def log_of(n_users: int = 60, n_items: int = 30, *, valued: bool = False) -> Interactions:
    rng = np.random.default_rng(1)
    dense = (rng.random((n_users, n_items)) < 0.3).astype(float)
    return from_dense(dense * rng.integers(1, 6, dense.shape) if valued else dense)


def watch(monkeypatch: pytest.MonkeyPatch, kind: type[Recommender]) -> list[Interactions]:
    """The logs that fits of a class came to the end with."""
    done: list[Interactions] = []
    fit = kind._fit_validated

    def watched(self: Any, log: Interactions, validation: HeldOut | None, run: Run) -> None:
        fit(self, log, validation, run)
        done.append(log)

    monkeypatch.setattr(kind, "_fit_validated", watched)
    return done


# -- when ----------------------------------------------------------------------------------


def test_a_comparison_warms_up_before_its_clock_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    split, events = shoal.split(log_of(), "strong"), []

    class Watched(Popularity):
        name: ClassVar[str] = "watched"

        def _fit(self, log: Interactions, run: Run) -> None:
            events.append("fit" if log is split.train else "tiny fit")
            super()._fit(log, run)

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            events.append("clock")
            return time.perf_counter()

    monkeypatch.setattr(experiment, "time", Clock)
    shoal.compare(split, [Watched()], metrics=["ndcg@5"], run=ONE)
    assert events == ["tiny fit", "clock", "fit", "clock"]


@pytest.mark.parametrize(
    ("command", "model"),
    [("train", "popularity"), ("evaluate", "popularity"), ("evaluate", "u-autorec")],
)
def test_commands_warm_up_before_their_clock_starts(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    shoal_command: Callable[..., tuple[int, str, str]],
    command: str,
    model: str,
) -> None:
    if model == "u-autorec":
        pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    table = {"user": np.arange(400) % 40, "item": rng.integers(0, 25, 400)}
    pl.DataFrame(table | {"rating": rng.integers(1, 6, 400)}).write_csv(tmp_path / "log.csv")
    events: list[str] = []
    clock, kind = time.perf_counter, type(create(model))
    fit = kind._fit_validated

    def ticking() -> float:
        events.append("clock")
        return clock()

    def fitting(self: Any, *given: Any) -> None:
        events.append("fit")
        fit(self, *given)

    monkeypatch.setattr(time, "perf_counter", ticking)
    monkeypatch.setattr(kind, "_fit_validated", fitting)
    monkeypatch.setattr(warmup, "warm_up", lambda *_, **__: events.append("warm"))
    few = ["--set", "n_epochs=1,factors=3"] if model == "u-autorec" else []
    more = ["--out", tmp_path / "m"] if command == "train" else []
    more += ["--metrics", "ndcg@5"] if (command, model) == ("evaluate", "popularity") else []
    code, _, err = shoal_command(command, tmp_path / "log.csv", "--model", model, *few, *more)
    assert code == 0, err
    assert events.count("fit") == 1
    before = events[: events.index("fit")]
    assert before[-1] == "clock"
    assert before[-2] == "warm"


def test_a_first_call_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds of `plan`: compiling belongs to no kind of work."""
    now = [0.0]
    monkeypatch.setattr(speeds.time, "perf_counter", lambda: now[0])
    takes = iter([100.0, 3.0, 2.0, 4.0])

    def call() -> None:
        now[0] += next(takes)

    assert speeds.quickest(call) == 2


# -- what ----------------------------------------------------------------------------------

LOADED = """
import sys, warnings
import numpy as np, shoal
from dataclasses import replace
from numba.core.dispatcher import Dispatcher
from shoal.datasets.synthetic import SyntheticLog
from shoal.models.registry import create
from shoal.run import Run
from shoal.experiments.warmup import warm_up

def loaded():
    return {
        (name, attribute, str(signature))
        for name, module in list(sys.modules.items()) if name.startswith("shoal.kernels")
        for attribute, value in vars(module).items() if isinstance(value, Dispatcher)
        for signature in value.overloads
    }

log = SyntheticLog(900, 400, 12_000).interactions()
values = np.random.default_rng(0).integers(1, 6, len(log)).astype(np.float32)
vectors = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
wide = SyntheticLog(300, 5_500, 9_000).interactions()
run = Run(threads=1)
for name, given in [
    ("item-knn", log), ("ease", log), ("ease", replace(log, values=values)), ("slim", log),
    ("gf-cf", log), ("mrf", log), ("admm-slim", log), ("spectral-ease", log),
    ("l3ae", replace(log, item_vectors=vectors)), ("ease", wide),
]:
    warm_up(create(name), given, run)
    before = loaded()
    assert before, name
    split = shoal.split(given, "strong")
    shoal.evaluate(create(name).fit(split.train, split.validation, run), split.test, run=run)
    print(name, sorted(loaded() - before))
"""


def test_a_fit_and_its_evaluation_load_nothing_more() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 10
    assert [line for line in lines if not line.endswith(" []")] == []


@pytest.mark.parametrize("name", ["ease", "slim", "svae", "l3ae", "u-autorec", "product"])
def test_models_get_what_they_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = create(name)
    if model.trained:
        pytest.importorskip("torch")
    log = log_of(valued=name in ("u-autorec", "slim"))
    if model.ordered:
        log = replace(log, times=np.arange(len(log)))
    if model.reads_vectors:
        log = replace(log, item_vectors=two_kinds(log.n_items))
    done = watch(monkeypatch, type(model))
    assert warm_up(model, log, ONE) > 0
    assert done
    for tiny in done:
        assert tiny.n_users * tiny.n_items < 30_000
        assert (tiny.values is None) == (log.values is None)
        assert (tiny.times is None) == (log.times is None)
        assert (tiny.item_vectors is None) == (log.item_vectors is None)
    assert not model.fitted


def test_the_tiny_log_has_the_values_and_vectors_of_the_other() -> None:
    log = replace(log_of(valued=True), item_vectors=two_kinds(30), times=None)
    tiny = tiny_log(log, 50, 80)
    assert tiny.values is not None
    assert tiny.item_vectors is not None
    assert set(tiny.values) <= set(log.values)
    assert tiny.item_vectors.shape == (80, log.item_vectors.shape[1])  # of more items than it has
    assert tiny.matrix.shape == (50, 80)
    assert np.diff(tiny.indptr).min() >= 5


def test_it_is_done_once_for_a_class_with_its_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    done = watch(monkeypatch, shoal.EASE)
    log = log_of()
    assert warm_up(shoal.EASE(l2=5), log, ONE) > 0
    assert warm_up(shoal.EASE(l2=7), log, ONE) == 0
    assert len(done) == 1
    warm_up(shoal.EASE(nonnegative=True), log, ONE)
    warm_up(shoal.EASE(alpha=0.3), log, ONE)
    assert len(done) == 3


def test_a_huge_network_is_not_built_but_one_of_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    built: list[int] = []
    kind = type(create("mult-vae"))
    monkeypatch.setattr(kind, "_fit_validated", lambda self, *_: built.append(self.hidden))
    warm_up(create("mult-vae", {"hidden": 500_000}), log_of(), ONE)
    assert built == [kind().hidden]  # type: ignore[attr-defined]


def test_training_is_cut_to_one_epoch_also_of_an_ensemble_s_members() -> None:
    pytest.importorskip("torch")
    brief = create("mult-vae", {"n_epochs": 50, "hidden": 7}).briefly(100)
    assert brief.model_dump() | {"n_epochs": 50, "patience": 20} == (
        create("mult-vae", {"n_epochs": 50, "hidden": 7}).model_dump()
    )
    assert brief.model_dump()["n_epochs"] == 1
    both = create("product", {"parts": "flvae(n_epochs=9)+ease(l2=3)", "mode": "ensemble"})
    deep, linear = both.briefly(100).members  # type: ignore[attr-defined]
    assert (deep.n_epochs, linear.l2) == (1, 3)
    assert create("spectral-ease", {"factors": 500}).briefly(120).model_dump()["factors"] == 120


# -- and nothing else ----------------------------------------------------------------------


def test_generators_progress_and_checkpoints_are_left_alone(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Nothing(Silent):
        def step(self, label: str, total: float | None = None) -> Any:
            raise AssertionError(f"{label} was shown")

    def drawn() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    class Careless(Popularity):
        name: ClassVar[str] = "careless"

        def _fit(self, log: Interactions, run: Run) -> None:
            torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
            super()._fit(log, run)

    run = Run(
        threads=1, progress=Nothing(), checkpoint=tmp_path / "c", training_log=tmp_path / "log"
    )
    before = drawn()
    for model in (Careless(), create("mult-vae", {"hidden": 8, "factors": 4})):
        assert warm_up(model, log_of(), run) > 0
        assert not model.fitted
        assert model.facts == {}
    assert drawn() == before
    assert list(tmp_path.iterdir()) == []


def test_scores_are_those_of_a_process_that_did_not_warm_up() -> None:
    pytest.importorskip("torch")
    log = log_of()
    settings = {"n_epochs": 3, "hidden": 8, "factors": 4}
    cold = create("mult-vae", settings).fit(log, run=ONE).score(log.matrix)
    model = create("mult-vae", settings)
    warm_up(model, log, ONE)
    np.testing.assert_array_equal(model.fit(log, run=ONE).score(log.matrix), cold)


@pytest.mark.parametrize("error", [ModelError("in its own words"), ZeroDivisionError("a mistake")])
def test_a_model_that_fails_says_so_in_its_own_fit(error: Exception) -> None:
    class Broken(Popularity):
        name: ClassVar[str] = "broken"

        def _fit(self, *_: Any) -> None:
            raise error

    split = shoal.split(log_of(), "strong")
    warm_up(Broken(), split.train, ONE)
    with pytest.raises(type(error), match=str(error)):
        shoal.compare(split, [Broken()], metrics=["ndcg@5"], run=ONE)
    beside = [Broken(), "popularity"]
    if isinstance(error, ModelError):
        found = shoal.compare(split, beside, metrics=["ndcg@5"], run=ONE)
        assert found.refused == {"broken": "in its own words"}


def test_what_does_not_fit_the_memory_is_not_tried() -> None:
    split = shoal.split(log_of(), "strong")
    found = shoal.compare(
        split, ["popularity", "mrf"], metrics=["ndcg@5"], run=Run(threads=1, memory=1_100_000)
    )
    assert "the budget is 1.1 MB" in found.refused["mrf"]
