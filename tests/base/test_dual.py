"""The closed forms solved for users: the same models as those solved for items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import shoal
from shoal import artifact
from shoal.base import dual
from shoal.base.closed_form import ClosedForm
from shoal.base.system import TOLERANCE
from shoal.data.ids import Ids
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError, ModelError
from shoal.inference.similar import dissimilar
from shoal.kernels import spd
from shoal.models.ease import EASE
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing import RecommenderContract, from_dense
from shoal.testing.checks import assert_same_lists
from shoal.testing.contract import N_ITEMS, N_USERS

Matrix = NDArray[np.float64]
MEMBERS: list[tuple[str, dict[str, Any]]] = [
    ("lae", {}),
    ("ease", {}),
    ("dlae", {"dropout": 0.4}),
    ("edlae", {"dropout": 0.3}),
    ("rlae", {"xi": 0.3}),
    ("rdlae", {"xi": 0.2, "dropout": 0.4}),
]


def table(m: int, n: int, *, valued: bool = False, seed: int = 0) -> Matrix:
    """Items of different popularity, one of them without users, and a user without items."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((m, n)) < rng.uniform(0.05, 0.5, n)).astype(float)
    dense[:, n // 2] = 0
    dense[0, : n // 3] = 1
    if m > 2:
        dense[m // 2] = 0
    return dense * rng.integers(1, 6, dense.shape) / 2 if valued else dense


def fit(
    monkeypatch: pytest.MonkeyPatch, model: ClosedForm, log: Interactions, *, by_users: bool
) -> ClosedForm:
    """A fit in the form that is asked for."""
    with monkeypatch.context() as patch:
        patch.setattr(dual, "chosen", lambda *_: by_users)
        model.fit(log, run=Run(threads=1))
    assert model.facts.get("dual", 0) == by_users
    return model


@pytest.mark.parametrize("damped", [False, True])
@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize(("m", "n"), [(1, 12), (2, 9), (40, 90), (90, 40)])
@pytest.mark.parametrize(("name", "settings"), MEMBERS, ids=[m[0] for m in MEMBERS])
def test_every_member_is_the_one_solved_for_items(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    settings: dict[str, Any],
    m: int,
    n: int,
    valued: bool,
    damped: bool,
) -> None:
    given = settings | {"l2": 20.0} | ({"alpha": 0.3, "beta": 0.7} if damped else {})
    log = from_dense(table(m, n, valued=valued))
    one, other = (
        fit(monkeypatch, by_name(name)(**given), log, by_users=side)  # type: ignore[arg-type]
        for side in (False, True)
    )
    size = np.abs(one.weights).max()
    np.testing.assert_allclose(other.weights, one.weights, atol=1e-5 * max(size, 1))
    histories = CSR(table(25, n, valued=valued, seed=1).astype(np.float32))
    expected = one.score(histories)
    np.testing.assert_allclose(
        other.score(histories), expected, atol=1e-5 * max(1, np.abs(expected).max())
    )
    columns = np.stack([other.column(i) for i in range(n)], axis=1)
    np.testing.assert_allclose(columns, one.weights, atol=1e-5 * max(size, 1))


@pytest.mark.parametrize("valued", [False, True])
def test_each_column_is_constrained_least_squares(
    monkeypatch: pytest.MonkeyPatch, valued: bool
) -> None:
    """min ‖x_j − X b‖² + λ‖b‖² without b_j: least squares of the other columns over √λ·I."""
    X, l2 = table(9, 15, valued=valued), 2.0
    B = fit(monkeypatch, EASE(l2=l2), from_dense(X), by_users=True).weights
    for j in range(15):
        others = np.arange(15) != j
        tall = np.vstack([X[:, others], np.sqrt(l2) * np.eye(14)])
        b, *_ = np.linalg.lstsq(tall, np.append(X[:, j], np.zeros(14)), rcond=None)
        np.testing.assert_allclose(B[others, j], b, atol=2e-6)
        assert B[j, j] == pytest.approx(0, abs=2e-6)


def test_woodbury_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """One user with a twice and b once, λ = 1: M = 1/(1 + 4 + 1), P = I − xxᵀ/6.

    P = ⎡2 −2⎤ / 6, so EASE has B_ab = 2/5 and B_ba = 2/2.
        ⎣−2 5⎦
    """
    model = fit(monkeypatch, EASE(l2=1), from_dense([[2, 1]]), by_users=True)
    np.testing.assert_allclose(model.state()["inverse"], [[1 / 6]], rtol=1e-6)
    np.testing.assert_allclose(model.weights, [[0, 2 / 5], [1, 0]], atol=1e-6)


# -- which form ------------------------------------------------------------------------------


def sparse_log(m: int, n: int, each: int = 5) -> Interactions:
    """`each` items of everyone, drawn at random; every item is there."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(m, dtype=np.int32), each)
    items = np.concatenate([rng.choice(n, each, replace=False) for _ in range(m)]).astype(np.int32)
    ids = (Ids(pl.Series(range(k)), "int") for k in (m, n))
    return Interactions.from_codes(*ids, users, items)


def test_few_users_and_many_items_are_solved_for_users() -> None:
    n = dual.SMALL + 500
    log = sparse_log(60, n)
    model = EASE(l2=5).fit(log)
    assert model.facts["dual"] == 1
    assert "negative_weights" not in model.facts
    assert EASE().bytes_to_fit(Size(60, n, len(log))) < n**2  # a quarter of an n × n matrix
    assert EASE().bytes_to_fit(Size(10 * n, n, len(log))) > 4 * n**2
    # B altered after the fit needs B
    assert EASE(nonnegative=True).bytes_to_fit(Size(60, n, len(log))) > 4 * n**2


@pytest.mark.parametrize(
    ("m", "n", "budget", "by_users"),
    [
        (1000, 2000, 10**12, False),  # n × n costs nothing
        (1000, 5000, 10**12, True),
        (5000, 4500, 10**12, False),  # more users than items
        (4800, 5000, 10**12, False),  # as many: for items, whose scores take less
        (4800, 5000, 4 * 4900**2, True),  # unless only that fits
        (1000, 5000, 4 * 900**2, False),  # nothing fits: refused before
    ],
)
def test_the_form_is_chosen_by_work_and_memory(m: int, n: int, budget: int, by_users: bool) -> None:
    log = sparse_log(m, n, each=3)
    assert (
        dual.chosen(log.size, log.item_counts, EASE()._bytes_by_items(Size(m, n, len(log))), budget)
        == by_users
    )


def test_what_does_not_fit_is_refused_with_both_sizes() -> None:
    log = sparse_log(1000, 5000, each=3)
    with pytest.raises(
        MemoryBudgetError,
        match=r"needs 4\.\d+ MB, the budget is 1\.0 MB.*1,000 users.*--min-user-items.*10\d\.\d MB",
    ):
        EASE().fit(log, run=Run(memory=1_000_000))
    with pytest.raises(MemoryBudgetError, match=r"needs 10\d\.\d MB, the budget is 9\.0 MB"):
        EASE(nonnegative=True).fit(log, run=Run(memory=9_000_000))
    EASE().fit(log, run=Run(memory=9_000_000))


def test_weights_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(monkeypatch, EASE(l2=5), from_dense(table(9, 30)), by_users=True)
    monkeypatch.setattr(Run, "memory_budget", property(lambda self: 3000))
    with pytest.raises(MemoryBudgetError, match=r"30 × 30 items needs 3\.6 kB of 3\.0 kB"):
        _ = model.weights
    assert model.column(3).shape == (30,)


def same(found: shoal.Recommendations, expected: shoal.Recommendations) -> None:
    """The same list, but for scores that are equal up to rounding."""
    a, b = ((part.items, [r.score for r in part]) for part in (found, expected))
    assert_same_lists(*a, *b)


# -- what is done with it --------------------------------------------------------------------


@pytest.mark.parametrize("damped", [False, True])
def test_it_ranks_explains_and_compares_items_like_the_other_form(
    monkeypatch: pytest.MonkeyPatch, damped: bool
) -> None:
    given = {"l2": 5.0} | ({"alpha": 0.4, "beta": 0.5} if damped else {})
    log = from_dense(table(50, 80))
    one, other = (fit(monkeypatch, EASE(**given), log, by_users=b) for b in (False, True))
    monkeypatch.setattr(dual, "_BLOCK_BYTES", 1)  # 32 histories at a time
    for exclude_seen in (False, True):
        mine = shoal.recommend_all(other, log, 10, exclude_seen=exclude_seen)
        theirs = shoal.recommend_all(one, log, 10, exclude_seen=exclude_seen)
        assert mine["user"].to_list() == theirs["user"].to_list()
        for user in mine["user"].unique():
            lists = [frame.filter(pl.col("user") == user) for frame in (mine, theirs)]
            a, b = ((part["item"].to_numpy(), part["score"].to_numpy()) for part in lists)
            assert_same_lists(*a, *b)
    history = log.items.take([1, 2, 7])
    found = shoal.recommend(other, history, 5, because=True)
    same(found, shoal.recommend(one, history, 5))
    for row in found:
        assert sum(w.contribution for w in row.because) == pytest.approx(row.score, rel=1e-4)
    same(shoal.similar(other, 103, 5), shoal.similar(one, 103, 5))
    weakest = [dissimilar(model, 103, 5) for model in (other, one)]
    a, b = ((part.items, [-r.score for r in part]) for part in weakest)  # the lowest comes first
    assert_same_lists(*a, *b)


def test_rules_hold_and_scores_that_are_no_number_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = from_dense(table(50, 80))
    model = fit(monkeypatch, EASE(l2=5), log, by_users=True)
    monkeypatch.setattr(dual, "_BLOCK_BYTES", 1)
    allowed = np.arange(80) % 3 == 0
    seen = log.indptr, log.indices
    items, _ = model.rank(log.matrix, 80, seen, allowed)
    for u in range(50):
        mine = set(np.flatnonzero(allowed)) - set(log.indices[log.indptr[u] : log.indptr[u + 1]])
        assert sorted(items[u][items[u] >= 0]) == sorted(mine)
    state = model.state() | {"onto": np.full(80, np.nan, np.float32)}
    model.restore(state)
    with pytest.raises(ModelError, match="not a number"):
        model.rank(log.matrix, 5, seen, allowed)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.9])
def test_few_some_and_many_common_users_give_the_same_scores(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Products with M go over its rows, over tiles or through BLAS."""
    rng = np.random.default_rng(3)
    dense = (rng.random((70, 200)) < share).astype(float)
    dense[0] = 1
    log = from_dense(dense)
    one, other = (fit(monkeypatch, EASE(l2=30), log, by_users=b) for b in (False, True))
    for x in (log.matrix[1:], log.matrix[1:2], log.matrix[:0]):
        np.testing.assert_allclose(other.score(x), one.score(x), rtol=1e-4, atol=2e-5)


def test_threads_change_it_by_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inverse and dense products are BLAS's, which may split them otherwise for two threads."""
    log = from_dense(table(120, 300, valued=True))
    monkeypatch.setattr(dual, "chosen", lambda *_: True)
    found = []
    for threads in (1, 2):
        run = Run(threads=threads)
        model = EASE(l2=20, beta=0.3).fit(log, run=run)
        found.append((model.state(), shoal.recommend_all(model, log, 20, run=run)))
    for name, array in found[0][0].items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(found[1][0][name], array, atol=1e-5 * scale, err_msg=name)
    for user in found[0][1]["user"].unique():
        lists = [lists.filter(pl.col("user") == user) for _, lists in found]
        a, b = ((part["item"].to_numpy(), part["score"].to_numpy()) for part in lists)
        assert_same_lists(*a, *b)


def test_the_order_of_users_does_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = table(60, 100, valued=True)
    there = dense[np.random.default_rng(1).permutation(60)]
    states = [
        fit(monkeypatch, EASE(l2=9), from_dense(d), by_users=True).state() for d in (dense, there)
    ]
    for name, array in states[0].items():
        np.testing.assert_array_equal(states[1][name], array)


def test_one_inverse_serves_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = spd.invert_upper

    def counting(matrix: Any, *rest: Any) -> None:
        sizes.append(len(matrix))
        original(matrix, *rest)

    monkeypatch.setattr(spd, "invert_upper", counting)
    monkeypatch.setattr(dual, "chosen", lambda *_: True)
    log = from_dense(table(50, 80))
    settings = [{"l2": v, "xi": x, "alpha": a} for x, a in ((0.1, 0), (0.3, 0.4)) for v in (5, 9)]
    kind = by_name("rlae")
    run = Run(threads=1)
    found = {at: (m.score(log.matrix), m.facts) for at, m in kind.fit_grid(settings, log, run=run)}
    assert sizes == [49, 49]  # a user has no items
    for at, one in enumerate(settings):
        alone = kind(**one).fit(log, run=run)
        np.testing.assert_array_equal(found[at][0], alone.score(log.matrix))
        assert found[at][1] == alone.facts


def test_a_tiny_ridge_falls_back_to_float64_and_below_that_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = from_dense((np.random.default_rng(0).random((120, 200)) < 0.4).astype(float))
    X = log.matrix.toarray().astype(float)
    l2 = 0.003  # residuals of float32 are then 0.25 to 0.9, whatever OpenBLAS's kernels are
    P = np.linalg.inv(X.T @ X + l2 * np.eye(200))
    expected = -P / P.diagonal()
    np.fill_diagonal(expected, 0)
    monkeypatch.setattr(dual, "chosen", lambda *_: True)
    system = EASE(l2=l2).system(log, Run(threads=1))
    single = system._attempt(Run(threads=1), np.float32)
    assert single is None or single[1] > 10 * TOLERANCE  # float32 alone is not enough
    B = EASE(l2=l2).fit(log, run=Run(threads=1)).weights
    np.testing.assert_allclose(B, expected, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(ModelError, match="Raise l2"):
        EASE(l2=1e-6).fit(log)


def test_a_fit_by_items_after_one_by_users_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    log, model = from_dense(table(20, 30)), EASE(l2=5)
    fit(monkeypatch, model, log, by_users=True)
    fit(monkeypatch, model, log, by_users=False)
    assert "inverse" not in model.state()
    fit(monkeypatch, model, log, by_users=True)
    assert "inverse" in model.state()


def test_a_folder_says_what_it_is_and_holds_no_ids_of_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = from_dense(table(20, 30))
    model = fit(monkeypatch, EASE(l2=5), log, by_users=True)
    artifact.save(model, tmp_path / "m")
    manifest = artifact.read_manifest(tmp_path / "m")
    assert manifest["facts"]["dual"] == 1
    assert set(manifest["files"]) == {"arrays.safetensors", "items.parquet"}
    loaded = artifact.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.score(log.matrix), model.score(log.matrix))
    assert "item_values" not in model.state()  # all ones


class _DualContract(RecommenderContract):
    @pytest.fixture(autouse=True)
    def _by_users(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dual, "chosen", lambda *_: True)

    def test_no_training_data_are_kept(self) -> None:
        """Histories are kept, since scores need them (see `ClosedForm`), but whose they are is not.

        Their order is that of their content, so it does not tell either.
        """
        log = self.data()
        model = self._fitted(log)
        assert model.facts["dual"] == 1
        assert model.users is None
        counts = np.bincount(model.state()["item_users"], minlength=N_USERS)
        assert (np.diff(counts) >= 0).all()
        assert sorted(counts) == sorted(np.diff(log.indptr))
        assert (counts != np.diff(log.indptr)).any()

    def test_contributions_add_up_to_the_score(self) -> None:
        """Up to rounding of the row's largest score.

        The contract wants more where all parts are all but zero; here an item's weight for itself
        is a difference of like numbers.
        """
        model, rows = self._fitted(), self.histories()
        scores = model.score(rows)
        for u in range(rows.shape[0]):
            row = rows[[u]]
            for item in range(N_ITEMS):
                parts = model.contributions(row.indices, row.data, item).astype(np.float64)
                assert abs(parts.sum() - scores[u, item]) <= 1e-6 * np.abs(scores[u]).max()


class TestEASEByUsers(_DualContract):
    def model(self) -> EASE:
        return EASE()


class TestRDLAEByUsers(_DualContract):
    def model(self) -> ClosedForm:
        return by_name("rdlae")(l2=200, alpha=0.2, beta=0.3)  # type: ignore[return-value]
