"""Maps of items, over models whose responses are written down."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import PrivateAttr
from scipy.spatial import cKDTree

import shoal
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.data.interactions import CSR
from shoal.errors import (
    DataError,
    MemoryBudgetError,
    MissingExtraError,
    ModelError,
    NotFittedError,
)
from shoal.maps.item_map import item_map
from shoal.maps.responses import centre, main_components, nearest_rows, responses
from shoal.models.autorec import IAutoRec
from shoal.models.ease import EASE
from shoal.models.popularity import Popularity
from shoal.run import Run
from shoal.testing import from_dense

N = 60
BLOCK = np.arange(N) % 2  # even items and odd items are never seen together


def blocks(seed: int = 0) -> NDArray[np.float32]:
    """B of two groups: weights within a group, none between."""
    rng = np.random.default_rng(seed)
    B = rng.uniform(0.5, 1.5, (N, N)) * (BLOCK[:, None] == BLOCK)
    np.fill_diagonal(B, 0)
    return B.astype(np.float32)


def over(model: EASE, B: NDArray[np.float32], **attributes: Any) -> EASE:
    ids = list(range(100, 100 + len(B)))
    model.restore({"weights": B})
    model.restore_catalogue(
        Ids(pl.Series(ids), "int"), pl.DataFrame({"item": ids, **attributes}), "", {}
    )
    return model


@pytest.fixture(scope="module")
def two_blocks() -> EASE:
    return over(
        EASE(),
        blocks(),
        title=[f"Film {i}" for i in range(N)],
        genres=[("Even|A" if i % 2 == 0 else "Odd|B") for i in range(N)],
        year=[1940 + i for i in range(N)],
    )


class Product(EASE):
    """A stand-in for a model made of members."""

    name: ClassVar[str] = "fake-product"
    _members: tuple[Recommender, ...] = PrivateAttr(())

    @property
    def members(self) -> tuple[Recommender, ...]:
        return self._members


def same_block(xy: NDArray[np.float64], k: int = 5) -> float:
    near = cKDTree(xy).query(xy, k + 1)[1][:, 1:]
    return float((BLOCK[near] == BLOCK[:, None]).mean())


# -- responses -----------------------------------------------------------------------------


def test_a_response_is_the_row_of_scores_for_one_item_alone(two_blocks: EASE) -> None:
    chosen = np.array([3, 4, 50])
    assert np.array_equal(responses(two_blocks, chosen, Run()), blocks()[chosen])


def test_own_entries_count_for_nothing() -> None:
    """A model that repeats the history makes a large diagonal; items are like what they were."""
    B = blocks()
    C = B + 50 * np.eye(N, dtype=np.float32)
    everything = np.arange(N)
    assert centre(B, everything, "m") == centre(C, everything, "m") == 0
    assert np.allclose(B, C, atol=1e-6)
    assert np.allclose(np.linalg.norm(B, axis=1), 1, atol=1e-6)


def test_what_is_added_to_all_responses_counts_for_nothing() -> None:
    B, everything = blocks(), np.arange(N)
    popular = np.random.default_rng(1).uniform(0, 3, N).astype(np.float32)  # the same for all
    shift = np.arange(N, dtype=np.float32)[:, None]  # of a whole row of scores
    moved = B + popular + shift
    centre(B, everything, "m")
    centre(moved, everything, "m")
    assert np.allclose(B, moved, atol=1e-4)


def test_neighbours_are_exact() -> None:
    rng = np.random.default_rng(2)
    R = rng.standard_normal((40, 9)).astype(np.float32)
    R /= np.linalg.norm(R, axis=1, keepdims=True)
    near, far = nearest_rows(R, 6)
    distance = np.linalg.norm(R[:, None] - R[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(near, np.argsort(distance, axis=1, kind="stable")[:, :6])
    assert np.allclose(far, np.sort(distance, axis=1)[:, :6], atol=1e-3)


def test_main_components_are_those_of_the_full_decomposition() -> None:
    """Beyond 300 items they are found by subspace iteration."""
    rng = np.random.default_rng(3)
    weights = 0.8 ** np.arange(40)
    R = (rng.standard_normal((400, 40)) * weights) @ rng.standard_normal((40, 500))
    found = main_components(R.astype(np.float32), 0)
    U, s, _ = np.linalg.svd(R, full_matrices=False)
    assert found.shape == (400, 16)
    assert np.allclose(np.linalg.norm(found, axis=0), s[:16], rtol=1e-3)
    alike = np.abs(np.einsum("ij,ij->j", found / s[:16], U[:, :16]))
    assert alike[:8].min() > 0.999


# -- maps ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(two_blocks: EASE) -> shoal.ItemMap:
    pytest.importorskip("openTSNE")
    return item_map(two_blocks, perplexity=8, n_clusters=2, run=Run(threads=1))


def test_items_that_are_never_seen_together_lie_apart(found: shoal.ItemMap) -> None:
    (panel,) = found.panels
    assert panel.xy.shape == (N, 2)
    assert same_block(panel.xy) == 1
    even, odd = panel.xy[BLOCK == 0], panel.xy[BLOCK == 1]
    within = max(np.ptp(even, axis=0).max(), np.ptp(odd, axis=0).max())
    assert np.linalg.norm(even.mean(axis=0) - odd.mean(axis=0)) > 0.8 * within
    assert 0 <= panel.kept <= 1


def test_clusters_are_the_blocks(found: shoal.ItemMap) -> None:
    codes = found.colouring.codes
    assert len(set(codes[BLOCK == 0].tolist())) == len(set(codes[BLOCK == 1].tolist())) == 1
    assert codes[0] != codes[1]
    assert all(g.split(": ")[1].startswith("Film ") for g in found.colouring.groups)
    assert sum(found.colouring.counts.values()) == N


def test_ids_and_titles_are_the_user_s(found: shoal.ItemMap) -> None:
    assert found.items == list(range(100, 100 + N))
    table = found.table()
    assert table.columns == ["item", "title", "colour", "x", "y"]
    assert table["item"].to_list() == found.items
    assert table["title"][3] == "Film 3"
    assert np.array_equal(table["x"].to_numpy(), found.panels[0].xy[:, 0])


def test_the_same_seed_gives_the_same_bits(two_blocks: EASE, found: shoal.ItemMap) -> None:
    again = item_map(two_blocks, perplexity=8, n_clusters=2, run=Run(threads=1))
    assert np.array_equal(again.panels[0].xy, found.panels[0].xy)
    assert again.colouring.groups == found.colouring.groups


def test_a_product_has_a_panel_for_itself_and_each_member(two_blocks: EASE) -> None:
    pytest.importorskip("openTSNE")
    thirds = np.arange(N) % 3
    B = np.random.default_rng(4).uniform(0.5, 1.5, (N, N)) * (thirds[:, None] == thirds)
    other = over(EASE(), B.astype(np.float32))
    product = over(Product(), blocks(5), title=[f"Film {i}" for i in range(N)])
    product._members = (two_blocks, other)
    found = item_map(product, perplexity=6, n_clusters=2)
    assert [p.name for p in found.panels] == ["fake-product", "ease 1", "ease 2"]
    joint, first, second = (p.xy for p in found.panels)
    assert same_block(joint) == same_block(first) == 1
    near = cKDTree(second).query(second, 4)[1][:, 1:]
    assert (thirds[near] == thirds[:, None]).all()
    assert found.table().columns == [
        *("item", "title", "colour", "x", "y", "x_2", "y_2", "x_3", "y_3")
    ]
    assert len(found.colouring.codes) == N  # the joint model's clusters colour all panels


def test_members_with_other_items_are_refused(two_blocks: EASE) -> None:
    product = over(Product(), blocks())
    product._members = (over(EASE(), blocks()[:50, :50]),)
    with pytest.raises(ModelError, match=r"ease, a member of fake-product, has other items"):
        item_map(product, perplexity=5)


def test_the_most_popular_items_of_a_log(two_blocks: EASE) -> None:
    pytest.importorskip("openTSNE")
    X = np.zeros((10, N))
    for item in range(20, 50):
        X[: 1 + item % 10, item] = 1
    X[:, :5] = 1
    log = from_dense(X)
    model = EASE(l2=1).fit(log)
    found = item_map(model, items=20, log=log, perplexity=4, n_clusters=2)
    counts = dict(zip(model.items.take(np.arange(N)), X.sum(axis=0), strict=True))
    shown = [counts[i] for i in found.items]
    assert min(shown) >= sorted(counts.values())[-20]
    nobodys = int((X.sum(axis=0) == 0).sum())
    assert found.notes[0] == f"the 20 most popular of {N - nobodys} items, by users of the log"
    assert found.notes[1].startswith(f"{nobodys} of 60 items are left out: they have no training")
    by_model = item_map(model, items=20, perplexity=4, n_clusters=2)
    assert by_model.items == found.items
    assert by_model.notes[0] == f"the 20 most popular of {N - nobodys} items, by training users"
    for name in found.colouring.groups:  # "1: 100, 104", the ids of two items as titles
        cluster = [
            i for i, text in zip(found.items, found.colouring.texts, strict=True) if text == name
        ]
        named = [int(title) for title in name.partition(": ")[2].split(", ")]
        most = sorted((counts[i] for i in cluster), reverse=True)[: len(named)]
        assert [counts[i] for i in named] == most


def test_without_a_log_items_are_drawn_and_that_is_said(two_blocks: EASE) -> None:
    pytest.importorskip("openTSNE")
    found = item_map(two_blocks, items=30, perplexity=5)
    assert len(found) == 30
    assert found.items != two_blocks.items.take(np.arange(30))
    assert "30 of 60 items, drawn at random" in found.notes[0]
    assert "--log FILE" in found.notes[0]
    assert item_map(two_blocks, items=None, perplexity=5).notes == ()


def test_items_without_an_answer_are_counted() -> None:
    pytest.importorskip("openTSNE")
    B = blocks()
    B[[4, 9, 11]] = 0
    found = item_map(over(EASE(), B), perplexity=5)
    assert "answers 3 of the items with the same score for all" in found.notes[0]


# -- what cannot be mapped -----------------------------------------------------------------


def test_too_few_items_for_the_perplexity(two_blocks: EASE) -> None:
    pytest.importorskip("openTSNE")
    advice = r"perplexity 30 needs at least 91 items.*the map has 60: give --perplexity 19 or less"
    with pytest.raises(DataError, match=advice):
        item_map(two_blocks)
    item_map(two_blocks, perplexity=19)
    with pytest.raises(DataError, match="too few for any map"):
        item_map(two_blocks, items=5, perplexity=2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"perplexity": 1}, "from 2 on"),
        ({"perplexity": float("nan")}, "from 2 on"),
        ({"perplexity": float("inf")}, "from 2 on"),
        ({"items": 0}, "1 or more"),
        ({"n_clusters": 0}, "1 to 9"),
        ({"n_clusters": 10}, "1 to 9"),
        ({"colour": "genre"}, "no attribute 'genre'; they have: title, genres, year"),
        ({"colour": "title"}, "another value for each item"),
    ],
)
def test_options_out_of_bounds(two_blocks: EASE, options: dict[str, Any], complaint: str) -> None:
    pytest.importorskip("openTSNE")
    with pytest.raises(DataError, match=complaint):
        item_map(two_blocks, **({"perplexity": 5} | options))


def test_models_that_cannot_be_mapped(two_blocks: EASE) -> None:
    pytest.importorskip("openTSNE")
    with pytest.raises(NotFittedError):
        item_map(EASE())
    with pytest.raises(ModelError, match="predicts ratings"):
        item_map(IAutoRec())
    flat = Popularity().fit(from_dense(np.triu(np.ones((N, N)))))
    with pytest.raises(DataError, match="popularity answers alike to every history"):
        item_map(flat, perplexity=5)
    broken = blocks()
    broken[3, 4] = np.nan
    with pytest.raises(ModelError, match="not a number"):
        item_map(over(EASE(), broken), perplexity=5)
    stranger = from_dense(np.ones((3, 4)))
    stranger = type(stranger)(
        stranger.users, Ids(pl.Series(list("wxyz")), "str"), stranger.indptr, stranger.indices
    )
    with pytest.raises(DataError, match="share no item"):
        item_map(two_blocks, perplexity=5, log=stranger)


def test_what_does_not_fit_is_refused_before_it_is_scored(two_blocks: EASE) -> None:
    pytest.importorskip("openTSNE")

    class Watched(EASE):
        def _score(self, histories: CSR) -> NDArray[np.float32]:
            raise AssertionError("scored")

    with pytest.raises(MemoryBudgetError, match=r"60 items.*budget is 20\.0 kB: map about \d+"):
        item_map(over(Watched(), blocks()), perplexity=5, run=Run(memory=20_000))


def test_without_opentsne_the_way_to_get_it_is_said(
    two_blocks: EASE, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("openTSNE", "openTSNE.affinity", "openTSNE.nearest_neighbors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'shoal\[map\]'"):
        item_map(two_blocks, perplexity=5)


def test_progress_is_reported(two_blocks: EASE, steps: Callable[[], Any]) -> None:
    pytest.importorskip("openTSNE")
    watch = steps()
    item_map(two_blocks, perplexity=5, run=Run(progress=watch))
    assert watch.done == {"ease: responses": (60, 60), "ease: layout": (750, 750)}


@pytest.fixture
def steps() -> Callable[[], Any]:
    """Makes a progress sink that adds up."""

    class Watch:
        def __init__(self) -> None:
            self.done: dict[str, tuple[float, float | None]] = {}

        def step(self, label: str, total: float | None = None) -> Any:
            watch, self.done[label] = self, (0, total)

            class One:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    pass

                def advance(self, amount: float = 1) -> None:
                    watch.done[label] = (watch.done[label][0] + amount, total)

            return One()

    return Watch
