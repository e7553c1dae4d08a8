"""Indexes of vectors: what they find, what they leave out, and to which model they belong."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.errors import ArtifactError, DataError, MissingExtraError, ModelError
from shoal.inference import index as approximate
from shoal.inference.index import Kind
from shoal.inference.index_files import load_index, save_index
from shoal.models.elsa import ELSA
from shoal.run import Run
from shoal.testing.checks import assert_same_lists
from shoal.testing.contract import from_dense

pytest.importorskip("torch")
ONE = Run(threads=1)


def circles(n_users: int = 120, n_items: int = 400) -> shoal.Interactions:
    """Users who like some of one quarter of the items each."""
    rng = np.random.default_rng(0)
    quarter = np.arange(n_items) % 4 == rng.integers(0, 4, n_users)[:, None]
    return from_dense((rng.random((n_users, n_items)) < 0.2) & quarter)


LOG = circles()


@pytest.fixture
def model() -> ELSA:
    return ELSA(factors=8, n_epochs=3, batch_size=40).fit(LOG, run=ONE)


def small_index(model: ELSA, kind: Kind | None) -> approximate.Index:
    pytest.importorskip("faiss")
    return approximate.build_index(model, LOG, kind=kind, k=20, sample=50, run=ONE)


def test_a_flat_index_gives_the_exact_lists(model: ELSA) -> None:
    index = small_index(model, None)
    assert index.facts.kind == "flat"
    assert index.facts.recall > 0.99  # 1, but for scores that are equal up to rounding
    asked = {"exclude": [120, 121], "run": ONE}
    history = [100, 104, 108, 112]
    expected = shoal.recommend(model, history, 30, **asked)
    everyone = shoal.recommend_all(model, LOG, 10, run=ONE)
    index.serve(model)
    found = shoal.recommend(model, history, 30, **asked)
    a, b = ((part.items, [r.score for r in part]) for part in (found, expected))
    assert_same_lists(*a, *b)
    again = shoal.recommend_all(model, LOG, 10, run=ONE)
    a, b = (
        [frame[column].to_numpy().reshape(-1, 10) for column in ("item", "score")]
        for frame in (again, everyone)
    )
    assert_same_lists(*a, *b)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_recall_is_the_share_of_the_exact_lists(model: ELSA, kind: Kind) -> None:
    index = small_index(model, kind)
    facts = index.facts
    assert (facts.n_items, facts.width, facts.k, facts.histories) == (400, 8, 20, 50)
    assert facts.recall >= approximate.ENOUGH
    users = np.sort(np.random.default_rng(0).choice(LOG.n_users, 50, replace=False))
    exact = [shoal.recommend(model, LOG, 20, user=u + 1, run=ONE).items for u in users]
    index.serve(model)
    found = [shoal.recommend(model, LOG, 20, user=u + 1, run=ONE).items for u in users]
    shared = sum(len(set(a) & set(b)) for a, b in zip(exact, found, strict=True))
    assert facts.recall == pytest.approx(shared / sum(map(len, exact)))


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_neither_history_nor_what_rules_forbid(model: ELSA, kind: Kind) -> None:
    small_index(model, kind).serve(model)
    history = list(range(100, 140, 4))
    forbidden = set(range(300, 400))
    found = shoal.recommend(model, history, 60, exclude=forbidden, run=ONE)
    assert len(found) == 60
    assert not set(found.items) & (forbidden | set(history))


def test_all_scores_are_made_where_the_index_cannot_answer(model: ELSA) -> None:
    index = small_index(model, "hnsw")
    history = [100, 104, 108]
    few = {"only": range(100, 130), "run": ONE}  # less than LEAST_ALLOWED of the items
    with_seen = {"exclude_seen": False, "run": ONE}  # a product is no score of a history's item
    expected = [shoal.recommend(model, history, 20, **asked) for asked in (few, with_seen)]
    whole = shoal.recommend(model, history, 397, run=ONE)
    index.serve(model)
    for asked, exact in zip((few, with_seen), expected, strict=True):
        assert shoal.recommend(model, history, 20, **asked).items == exact.items
    assert len(shoal.recommend(model, history, 397, run=ONE)) == len(whole)
    model.fit(LOG, run=ONE)
    assert model._search is None  # another fit's vectors are not those of the index


def test_an_index_is_kept_with_its_model_and_belongs_to_it(model: ELSA, tmp_path: Path) -> None:
    index = small_index(model, "hnsw")
    folder = shoal.save(model, tmp_path / "model")
    save_index(index, folder)
    there, loaded = load_index(folder), shoal.load(folder)
    assert there.facts == index.facts
    there.serve(loaded)
    index.serve(model)
    asked = [103, 107, 111]
    assert shoal.recommend(loaded, asked, 9).items == shoal.recommend(model, asked, 9).items
    other = ELSA(factors=8, n_epochs=1, batch_size=40).fit(LOG, run=ONE)
    with pytest.raises(ModelError, match="belongs to another model than this elsa"):
        there.serve(other)
    shoal.save(other, folder)  # the old index goes with the old model
    with pytest.raises(ArtifactError, match=r"has no index: build one with shoal index"):
        load_index(folder)


def test_a_damaged_index_is_refused(model: ELSA, tmp_path: Path) -> None:
    folder = shoal.save(model, tmp_path / "model")
    file = save_index(small_index(model, "flat"), folder)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"index\.faiss is damaged.*build it again"):
        load_index(folder)
    about = folder / "index.json"
    about.write_text(json.dumps({"sha256": ""}))
    with pytest.raises(ArtifactError, match="damaged"):
        load_index(folder)


def test_models_without_vectors_and_logs_of_strangers_are_refused(model: ELSA) -> None:
    pytest.importorskip("faiss")
    ease = shoal.EASE(l2=1.0).fit(LOG, run=ONE)
    with pytest.raises(ModelError, match="ease has no vectors; models such as elsa have"):
        approximate.build_index(ease, LOG)
    with pytest.raises(ModelError, match="kind='tree': write one of flat, ivf, hnsw"):
        approximate.build_index(model, LOG, kind="tree")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="k=0 and sample=1000"):
        approximate.build_index(model, LOG, k=0)


def test_without_faiss_it_says_how_to_get_it(model: ELSA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'shoal\[ann\]'"):
        approximate.build_index(model, LOG)


def test_threads_are_limited_in_faiss_too_and_given_back() -> None:
    faiss = pytest.importorskip("faiss")
    from shoal.kernels.threads import use_threads

    before = faiss.omp_get_max_threads()
    with use_threads(1):
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before


def edited(folder: Path, change: str) -> None:
    """Change an index in its folder, with the hash made to fit."""
    faiss = pytest.importorskip("faiss")
    file, about = folder / "index.faiss", json.loads((folder / "index.json").read_text())
    if change in ("n_items", "width", "effort"):
        about[change] = 2**40 if change == "effort" else about[change] + 1
    elif change == "edges":
        index = faiss.deserialize_index(np.frombuffer(file.read_bytes(), np.uint8))
        edges = faiss.vector_to_array(index.hnsw.neighbors)
        edges[:] = 2**31 - 1
        faiss.copy_array_to_vector(edges, index.hnsw.neighbors)
        file.write_bytes(faiss.serialize_index(index).tobytes())
    elif change == "size":  # the length of a vector of vectors, as the file says it
        data = file.read_bytes()
        length = (400 * 8).to_bytes(8, "little")
        assert length in data
        file.write_bytes(data.replace(length, (2**38).to_bytes(8, "little")))
    about["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "index.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("flat", "n_items"), ("flat", "width"), ("ivf", "effort"), ("hnsw", "edges"),
        ("hnsw", "size"), ("flat", "size"), ("ivf", "n_items"),
    ],
)  # fmt: skip
def test_an_index_that_refers_beyond_its_vectors_is_refused(
    model: ELSA, tmp_path: Path, kind: Kind, change: str
) -> None:
    folder = shoal.save(model, tmp_path / "model")
    save_index(small_index(model, kind), folder)
    load_index(folder)
    edited(folder, change)
    with pytest.raises(ArtifactError, match=r"index\.faiss is damaged.*build it again"):
        load_index(folder)


def test_a_pipe_in_place_of_an_index_is_refused(model: ELSA, tmp_path: Path) -> None:
    folder = shoal.save(model, tmp_path / "model")
    save_index(small_index(model, "flat"), folder)
    (folder / "index.json").unlink()
    os.mkfifo(folder / "index.json")
    with pytest.raises(ArtifactError, match=r"index\.json is not a regular file"):
        load_index(folder)
