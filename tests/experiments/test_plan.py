"""`plan` says what would be refused, how long a fit takes, and how large a model is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

import shoal
from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.datasets.synthetic import SyntheticLog
from shoal.errors import DataError, MemoryBudgetError, MissingExtraError, ModelError
from shoal.experiments import plan as planning
from shoal.experiments import speeds
from shoal.experiments.plan import plan
from shoal.experiments.speeds import Busy, Speeds
from shoal.models.registry import by_name, create, models
from shoal.run import Run
from shoal.testing.toys import two_kinds

FAST = [name for name, model in models().items() if not model.trained]
TRAINED = [name for name, model in models().items() if model.trained]
SMALL: dict[str, dict[str, Any]] = {  # their own widths would take minutes
    "elsa": {"factors": 8},
    "flvae": {"hidden": 16, "factors": 8, "depth": 2, "decoder_depth": 1},
    "hvamp": {"hidden": 16, "factors": 8, "pseudo_users": 10},
    "recvae": {"hidden": 16, "factors": 8, "depth": 2},
    "rvae": {"embedding": 8, "hidden": 8, "factors": 4},
    "svae": {"embedding": 8, "state_size": 8, "hidden": 8, "factors": 4},
    "product": {"parts": "flvae(hidden=16;factors=8;depth=2;decoder_depth=1)+nease(loss=focal)"},
    "vasp": {"parts": "flvae(hidden=16;factors=8;depth=2;decoder_depth=1)+nease(loss=focal)"},
    "deeprec": {"hidden": "8-8"},
    "i-autorec": {"factors": 8},
    "u-autorec": {"factors": 8},
}


def log_for(name: str, n_users: int = 120, n_items: int = 50) -> Interactions:
    """With ratings or times, where the model wants them."""
    log = SyntheticLog(n_users, n_items, 1_500).interactions()
    rng = np.random.default_rng(0)
    if by_name(name).reads_vectors:
        return replace(log, item_vectors=two_kinds(n_items))
    if by_name(name).task == "rating":
        return replace(log, values=rng.integers(1, 6, len(log)).astype(np.float32))
    return replace(log, times=rng.permutation(len(log))) if by_name(name).ordered else log


@pytest.fixture
def one_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does one of each kind per second."""
    monkeypatch.setattr(Speeds, "__getitem__", lambda self, kind: 1.0)


def test_memory_is_that_of_the_form_that_a_fit_would_take(one_per_second: None) -> None:
    """Users are fewer, but not so few that solving for them is less work."""
    counts = {"n_users": 8_000, "n_items": 10_000, "n_interactions": 400_000}
    for memory, by_items in ((2**30, True), (350 * 2**20, False)):
        found = plan(**counts, models=["ease"], run=Run(memory=memory))["ease"]
        assert (found.bytes_to_fit >= 4 * 10_000**2) == by_items
        assert found.refused == ""


@pytest.mark.parametrize("name", FAST)
def test_what_a_plan_refuses_is_what_a_fit_refuses(name: str, one_per_second: None) -> None:
    log = log_for(name)
    model = create(name)
    need = model.bytes_for(log)
    for memory in (need - 1, need):
        run = Run(memory=memory, threads=1)
        plans = [plan(log, models=[name], run=run)]
        if not model.reads_vectors:  # whose length counts alone do not tell
            counts = {"n_users": 120, "n_items": 50, "n_interactions": 1_500}
            plans.append(plan(**counts, models=[name], run=run))
        for found in plans:
            assert found[name].bytes_to_fit == need
            if memory < need:
                with pytest.raises(MemoryBudgetError) as raised:
                    model.fit(log, run=run)
                assert found[name].refused == str(raised.value)
                assert found[name].seconds is None
            else:
                assert not found[name].refused
                assert found[name].seconds is not None


def test_a_log_gives_its_own_pairs_and_counts_assume_log_normal_histories(
    one_per_second: None,
) -> None:
    log = log_for("ease")
    lengths = np.diff(log.indptr).tolist()
    assert plan(log, models=["ease"]).n_pairs == sum(d * d for d in lengths)
    found = plan(n_users=10, n_items=1_000, n_interactions=200, models=["ease"])
    assert found.n_pairs == pytest.approx(10 * 20**2 * np.exp(0.92**2))
    assert "2.3 times" in found.notes[0]


def test_pairs_never_exceed_what_the_catalogue_allows(one_per_second: None) -> None:
    """10 users with all of 20 items each: 10 · 20² pairs, not 2.3 times as many."""
    found = plan(n_users=10, n_items=20, n_interactions=200, models=["ease"])
    assert found.n_pairs == 10 * 20**2


def test_seconds_are_work_by_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"inverse": 2.0, "update": 4.0, "entry": 8.0, "value": 16.0, "fingerprint": 32.0}
    monkeypatch.setattr(Speeds, "__getitem__", lambda self, kind: rates[kind])
    found = plan(n_users=10, n_items=20, n_interactions=200, models=["ease"])
    # G: the triangle of 4,000 pairs; 20³ flops; B and its facts: twice 20² numbers
    expected = 200 / 8 + 2_000 / 4 + 8_000 / 2 + 800 / 16 + 200 / 32
    assert found["ease"].seconds == pytest.approx(expected)


def test_work_of_the_gram_matrix_is_counted_as_the_kernel_does_it() -> None:
    """Multiply-adds of the upper triangle, one by one: Σ d(d + 1)/2."""
    log = log_for("ease")
    updates = 0
    for user in range(log.n_users):
        d = int(log.indptr[user + 1] - log.indptr[user])
        updates += sum(1 for i in range(d) for j in range(i, d))
    pairs = float((np.diff(log.indptr) ** 2).sum())
    work = create("ease").work_to_fit(log.size, pairs)
    assert work["update"] == pytest.approx(updates, rel=0.1)


def test_what_fits_comes_first_by_time_then_what_does_not_by_memory(one_per_second: None) -> None:
    need = create("item-knn").bytes_to_fit(Size(1_000, 2_000, 20_000))
    found = plan(
        n_users=1_000, n_items=2_000, n_interactions=20_000,
        models=["ease", "popularity", "item-knn", "lae"], run=Run(memory=need),
    )  # fmt: skip
    assert [e.model for e in found.estimates] == ["popularity", "item-knn", "ease", "lae"]
    assert [bool(e.refused) for e in found.estimates] == [False, False, True, True]


def test_counts_leave_room_for_the_log_itself(
    one_per_second: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "available_memory", lambda: 10**9)
    found = plan(n_users=10**6, n_items=10**4, n_interactions=10**8, models=["popularity"])
    assert found.bytes_of_log == 4 * 10**8 + 8 * (10**6 + 1)
    assert found.budget == int(0.8 * (10**9 - found.bytes_of_log))


@pytest.mark.parametrize("name", [n for n in FAST if not by_name(n).reads_vectors])
def test_the_size_of_a_model_is_no_more_than_was_said(name: str) -> None:
    log = log_for(name)
    fitted = create(name).fit(log, run=Run(threads=1))
    said = fitted.bytes_of_model(log.size)
    size = sum(a.nbytes for a in fitted.state().values())
    assert size <= said
    if name in ("popularity", "ease", "rdlae", "spectral-ease"):
        assert size == said


def test_a_sparse_model_is_no_larger_than_was_said() -> None:
    log = log_for("item-knn")
    fitted = create("item-knn", {"k": 5}).fit(log)
    size = sum(a.nbytes for a in fitted.state().values())
    assert size <= fitted.bytes_of_model(log.size) < 1.2 * size


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_is_timed_by_itself_and_sized_by_its_network(name: str) -> None:
    pytest.importorskip("torch")
    log = log_for(name)
    model = create(name, SMALL.get(name, {}))
    found = plan(log, models=[model], run=Run(threads=1))[name]
    assert found.epochs == model.n_epochs  # type: ignore[attr-defined]
    assert found.seconds is not None
    assert found.seconds > 0
    few = type(model)(**model.model_dump(exclude_unset=True) | {"n_epochs": 1})
    size = sum(a.nbytes for n, a in few.fit(log).state().items() if n != "n_items")
    assert found.bytes_of_model == pytest.approx(size, rel=0.02, abs=64)


def test_an_epoch_of_more_users_and_items_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rehearsals on a clock that counts weights and scores of each batch: they are found again."""
    pytest.importorskip("torch")
    from shoal.experiments import rehearsal

    model = create("mult-vae", {"hidden": 8, "factors": 4, "batch_size": 50})

    def told(users: int, items: int) -> float:
        steps = -(-users // 50)
        return 0.5 + steps * (1e-3 + 1e-6 * model.n_parameters(users, items)) + 1e-7 * users * items

    class Fake(type(model)):  # type: ignore[misc]
        def fit(self, log: Interactions, *_: Any, **__: Any) -> Any:
            self._curve = [{"seconds": told(log.n_users, log.n_items) - 0.5}] * 3
            return self

        @property
        def curve(self) -> Any:
            return self._curve

    fake = Fake(**model.model_dump())
    for users, items in ((10_000, 3_000), (100_000, 50_000)):
        found = rehearsal.seconds_of_epoch(fake, Size(users, items, 40 * users), Run())
        assert found == pytest.approx(told(users, items) - 0.5, rel=0.05)


def test_steps_that_know_the_items_of_a_batch_alone_are_rehearsed_in_full_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from shoal.experiments import rehearsal
    from shoal.models.elsa import ELSA

    model = ELSA(factors=4, batch_size=50, sampled=20)
    seen = []

    def epoch(model: Any, log: Interactions, n_epochs: int, run: Run) -> float:
        seen.append((log.n_users, log.n_items))
        return 0.3 * log.n_users / model.batch_size

    monkeypatch.setattr(rehearsal, "_epoch", epoch)
    for items in (20_000, 100_000_000):  # the size of the catalogue is nothing to a step
        found = rehearsal.seconds_of_epoch(model, Size(1_010, items, 1_010 * 100), Run())
        assert found == pytest.approx(21 * 0.3)
    assert seen == [(200, 2 * (50 * 100 + 20))] * 2


def test_an_ensemble_takes_what_its_members_take(one_per_second: None) -> None:
    both = create("product", {"parts": "ease(l2=10)+item-knn(k=5)", "mode": "ensemble"})
    counts = {"n_users": 100, "n_items": 50, "n_interactions": 1_000}
    alone = [
        plan(**counts, models=[create("ease", {"l2": 10})]),
        plan(**counts, models=[create("item-knn", {"k": 5})]),
    ]
    expected = sum(p.estimates[0].seconds or 0 for p in alone) - 1_000  # one fingerprint, not two
    pytest.importorskip("torch")
    found = plan(**counts, models=[both])["product"]
    assert found.seconds == pytest.approx(expected)


class Dense(LinearRecommender):
    """A new model in one file, which says nothing of its work."""

    name: ClassVar[str] = "dense-of-mine"

    def _fit(self, *_: Any) -> None: ...

    def bytes_to_fit(self, size: Size) -> int:
        return 12 * size.n_items**2


class Sparse(Dense):
    """Likewise; its memory shows that it holds no n × n matrix."""

    name: ClassVar[str] = "sparse-of-mine"

    def bytes_to_fit(self, size: Size) -> int:
        return 100 * size.n_items


def test_a_model_that_says_nothing_gets_an_estimate_from_its_base(one_per_second: None) -> None:
    counts = {"n_users": 10_000, "n_items": 1_000, "n_interactions": 20_000}
    dense, sparse = (plan(**counts, models=[kind()]).estimates[0] for kind in (Dense, Sparse))
    assert dense.work["product"] == 2 * 1_000**3
    assert dense.bytes_of_model is not None
    assert 4 * 1_000**2 <= dense.bytes_of_model <= 12 * 1_000**2
    assert "product" not in sparse.work
    assert sparse.work["update"] > 0
    assert sparse.bytes_of_model == 100 * 1_000


def test_a_kind_of_work_that_nobody_measures_is_named() -> None:
    class Odd(Dense):
        name: ClassVar[str] = "odd"

        def work_to_fit(self, *_: Any) -> dict[str, float]:
            return {"magic": 1.0}

    found = plan(n_users=100, n_items=50, n_interactions=1_000, models=[Odd()])
    assert "'magic' cannot be measured" in found["odd"].refused


def test_speeds_of_every_kind_are_measured_here() -> None:
    speeds = Speeds(Size(500, 100, 5_000), threads=1)
    for kind in ("product", "inverse", "update", "entry", "value", "fingerprint"):
        assert 1e3 < speeds[kind] < 1e15, kind
    assert set(speeds.measured()) == {
        "product", "inverse", "update", "entry", "value", "fingerprint",
    }  # fmt: skip


def test_a_model_that_lacks_something_is_refused_with_the_reason(
    one_per_second: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    found = plan(log_for("ease"), models=["svae", "i-autorec"])
    assert "no times" in found["svae"].refused
    assert "ratings" in found["i-autorec"].refused

    def no_torch(*_: Any) -> None:
        raise MissingExtraError("it needs torch: pip install 'shoal[deep]'")

    monkeypatch.setattr("shoal.base.deep.torch_or_advice", no_torch)
    found = plan(n_users=100, n_items=50, n_interactions=1_000, models=["mult-vae"])
    assert "shoal[deep]" in found["mult-vae"].refused


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"n_users": 10, "n_items": 10, "n_interactions": 101}, "101 interactions are more than"),
        ({"n_users": 10, "n_items": 10}, "0 interactions: give 1 or more"),
        ({"n_users": -1, "n_items": 10, "n_interactions": 5}, "-1 users"),
        ({}, "either a log, or its numbers"),
    ],
)
def test_counts_that_no_log_can_have_are_refused(counts: dict[str, int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        plan(**counts)


def test_a_log_and_counts_at_once_and_unknown_models_are_refused() -> None:
    log = log_for("ease")
    with pytest.raises(DataError, match="either a log"):
        plan(log, n_users=5)
    with pytest.raises(DataError, match="no model is named"):
        plan(log, models=[])
    with pytest.raises(ModelError, match="no model is called 'easy'"):
        plan(log, models=["easy"])
    with pytest.raises(KeyError):
        plan(log, models=["popularity"])["ease"]


def test_the_public_face_and_plain_data(one_per_second: None) -> None:
    import json

    found = shoal.plan(log_for("ease"), models=["ease"], settings={"ease": {"l2": 7}})
    assert isinstance(found, shoal.Plan)
    row = json.loads(json.dumps(found.to_dict()))["models"][0]
    assert row["parameters"]["l2"] == 7
    assert row["refused"] is None
    assert isinstance(create("ease"), Recommender)


def test_a_busy_machine_is_named() -> None:
    assert Busy(0.3, 2).notes({"product": 1.1}) == ()
    (note,) = Busy(5.0, 2).notes({"product": 1.1})
    assert "a load of 5.0 on 2 cores" in note
    (note,) = Busy(0.0, 2).notes({"product": 1.1, "inverse": 7.0})
    assert "took up to 7.0 times the fastest" in note


def test_measurements_are_repeated_until_the_fastest_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    takes = iter([9.0, 0.5, 0.1, 0.3, 0.02, 0.4, 0.021, 0.5])  # the first one is not measured
    monkeypatch.setattr(speeds.time, "perf_counter", lambda: now[0])

    def call() -> None:
        now[0] += next(takes)

    durations = speeds.repeats(call)
    np.testing.assert_allclose(durations, [0.5, 0.1, 0.3, 0.02, 0.4, 0.021])


def test_one_reason_is_given_once_and_what_does_not_fit_has_a_time() -> None:
    found = plan(
        n_users=100_000, n_items=35_000, n_interactions=1_000_000,
        models=["ease", "lae", "popularity"], run=Run(memory=10**8),
    )  # fmt: skip
    reasons = found.refusals()
    assert [sorted(names) for names in reasons.values()] == [["ease", "lae"]]
    assert found["ease"].seconds is None
    needed = found["ease"].seconds_if_it_fitted
    assert needed == pytest.approx(
        sum(v / found.speeds[k] for k, v in found["ease"].work.items())
        + 1_000_000 / found.speeds["fingerprint"]
    )
