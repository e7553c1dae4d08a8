"""`blend`: spreads and weights by a person's arithmetic, brute force, exact reasons, forms."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import shoal
from shoal import metrics
from shoal.base.blending import best_weights, candidate_weights, spreads
from shoal.data.interactions import CSR
from shoal.errors import DataError, ModelError
from shoal.experiments.comparison.entrant import entrants_of
from shoal.experiments.tuning.best_epochs import with_best_epochs
from shoal.models.blend import Blend
from shoal.run import Run
from shoal.splitting.held_out import HeldOut, Split
from shoal.testing import RecommenderContract
from shoal.testing.checks import random_dense, rows_of
from shoal.testing.contract import N_ITEMS, from_dense

ONE = Run(threads=1)
LINEAR = "ease(l2=5)+item-knn(k=9)"


class TestBlendOfThree(RecommenderContract):
    """Members of three kinds, one of which is the same for everyone."""

    def model(self) -> Blend:
        return Blend("ease(l2=5)+item-knn(k=9)+popularity", weights="50,49,1")


# -- a toy --------------------------------------------------------------------------------


def member(*rows: list[float], known: list[bool] | None = None) -> Any:
    """What gives these scores to the users in turn, found by the first item of their history."""
    table = np.array(rows, np.float32)
    n = table.shape[1]
    return SimpleNamespace(
        score=lambda block: table[block.data[block.indptr[:-1]].astype(int) - 1],
        known_items=np.ones(n, bool) if known is None else np.array(known),
        histories=lambda log: log.matrix,
    )


def toy() -> tuple[HeldOut, list[Any]]:
    """Ann (whose scores are in the first row) wants item 1, and Bob item 2; both had item 0."""
    history = from_dense(np.array([[1, 0, 0, 0], [2, 0, 0, 0]]))
    target = from_dense(np.array([[0, 1, 0, 0], [0, 0, 1, 0]]))
    held_out = HeldOut(history, target, np.array([9, 5, 5, 1]), "toy")
    return held_out, [member([9, 1, 0, 0], [9, 0.4, 0, 0]), member([9, 0, 0.4, 0], [9, 0, 1, 0])]


def test_the_spread_is_the_deviation_of_unseen_scores() -> None:
    histories = rows_of(np.array([[1, 0, 0, 0], [2, 0, 0, 0]]))
    members = [
        member([99, 1, 2, 3], [99, 2, 4, 6]),  # √(2/3), and twice as much
        member([99, 7, 7, 7], [99, 7, 7, 7]),  # no spread at all
        member([99, 1, 3, 50], [99, 5, 5, 70], known=[True, True, True, False]),  # 1, and 0
    ]
    np.testing.assert_allclose(spreads(members, histories), [1.5 * np.sqrt(2 / 3), 1, 0.5])
    nobody = CSR((2, 4), dtype=np.float32)
    np.testing.assert_array_equal(spreads(members, nobody), [1, 1, 1])


def test_the_weights_are_those_a_person_finds() -> None:
    """Ann gets item 1 where w > .4(1 − w), so w > .286; Bob item 2 where 1 − w > .4w: w < .714."""
    held_out, members = toy()
    even = np.ones(2, np.float32)
    weights, value = best_weights(members, even, held_out, "recall@1", ONE)
    np.testing.assert_allclose(weights, [0.3, 0.7])
    assert value == 1
    # the second member's scores count for a quarter: .1(1 − w), so w > .091; .25(1 − w) > .4w
    weights, _ = best_weights(members, np.array([1, 4], np.float32), held_out, "recall@1", ONE)
    np.testing.assert_allclose(weights, [0.1, 0.9])
    weights, value = best_weights([members[0], members[0]], even, held_out, "recall@1", ONE)
    assert sorted(weights) == [0, 1]  # what blending does not help stays one member
    assert value == 0.5


def test_where_nobody_counts_the_weights_are_equal() -> None:
    """No target is of the head, which is item 0: nothing speaks for any weight."""
    held_out, members = toy()
    weights, value = best_weights(members, np.ones(2, np.float32), held_out, "ndcg@2:head", ONE)
    np.testing.assert_array_equal(weights, [0.5, 0.5])
    assert np.isnan(value)


@pytest.mark.parametrize(("n", "steps"), [(2, 20), (3, 10), (4, 6)])
def test_all_parts_of_the_whole_are_tried(n: int, steps: int) -> None:
    found = {tuple(np.round(w * steps).astype(int)) for w in candidate_weights(n)}
    assert found == {w for w in product(range(steps + 1), repeat=n) if sum(w) == steps}
    np.testing.assert_array_equal(np.sort(candidate_weights(n)[:n].argmax(axis=1)), np.arange(n))
    assert (candidate_weights(n)[:n].max(axis=1) == 1).all()
    assert len(candidate_weights(7)) == 210  # (7 − 1 + 4 over 4)


# -- fitted -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log() -> shoal.Interactions:
    return from_dense(random_dense(150, seed=5))


@pytest.mark.parametrize("kind", ["strong", "weak"])
@pytest.mark.parametrize("metric", ["ndcg@5", "recall@3:tail"])
def test_no_weights_on_the_grid_are_better(log: shoal.Interactions, kind: Any, metric: str) -> None:
    split = shoal.split(log, kind, seed=0, test=0.2, validation=0.2)
    held_out = split.validation
    assert held_out is not None
    model = Blend(f"{LINEAR}+popularity", metric=metric).fit(split.train, held_out, ONE)
    reached = shoal.evaluate(model, held_out, metric)[metric]
    assert model.facts[f"validation_{metric}"] == pytest.approx(reached, abs=1e-9)
    assert model.facts["weights_chosen"] == 1
    tried = []
    for w in candidate_weights(3):
        fixed = Blend.of(*model.members, on=split.train, weights=list(w))
        tried.append(shoal.evaluate(fixed, held_out, metric)[metric])
    assert reached == pytest.approx(max(tried), abs=1e-9)
    for one in model.members:
        assert reached >= shoal.evaluate(one, held_out, metric)[metric] - 1e-9


def test_a_fit_whose_metric_counts_nobody_chooses_nothing(log: shoal.Interactions) -> None:
    split = shoal.split(log, "strong", seed=0, test=0.2, validation=0.2)
    held_out = split.validation
    assert held_out is not None
    tail = ~metrics.head_items(held_out.train_counts)
    target = held_out.target
    only_tail = replace(held_out, target=target.keep(tail[target.indices]))
    model = Blend(LINEAR, metric="ndcg@5:head").fit(split.train, only_tail, ONE)
    assert [model.facts[f"{m}.weight"] for m in (0, 1)] == [0.5, 0.5]
    assert model.facts["weights_chosen"] == 0
    assert all(np.isfinite(value) for value in model.facts.values())


def halves(log: shoal.Interactions) -> Split:
    return shoal.split(log, "strong", seed=1, test=0.2, validation=0.2)


def test_scores_are_the_weighted_sum(log: shoal.Interactions) -> None:
    model = Blend(LINEAR, weights="3 1").fit(log, run=ONE)
    rows = rows_of(random_dense(20, seed=6))
    ease, knn = (m.score(rows).astype(np.float64) for m in model.members)
    s = spreads(model.members, log.matrix)
    np.testing.assert_allclose(model.score(rows), 0.75 * ease / s[0] + 0.25 * knn / s[1], rtol=1e-5)
    similar = [m.item_similarities(np.arange(4)) for m in model.members]
    expected = 0.75 * similar[0] / s[0] + 0.25 * similar[1] / s[1]
    np.testing.assert_allclose(model.item_similarities(np.arange(4)), expected, rtol=1e-5)


def test_without_validation_all_count_alike(log: shoal.Interactions) -> None:
    model = Blend(LINEAR).fit(log, run=ONE)
    assert [model.facts[f"{m}.weight"] for m in (0, 1)] == [0.5, 0.5]
    assert model.facts["weights_chosen"] == 0


def test_reasons_and_members_add_up(log: shoal.Interactions) -> None:
    split = halves(log)
    model = Blend(LINEAR, weights="2,1").fit(split.train, run=ONE)
    ids = model.items.take([0, 3, 5])
    best = shoal.recommend(model, ids, 2, because=True)
    for one in best:
        assert sum(r.contribution for r in one.because) == pytest.approx(one.score, rel=1e-4)
        assert sum(one.evidence.values()) == pytest.approx(one.score, rel=1e-4)
        assert list(one.evidence) == ["ease", "item-knn"]
    first, second = (shoal.explain(model, ids, one.item) for one in best)
    gap = sum(r.contribution for r in first.contributions) - sum(
        r.contribution for r in second.contributions
    )
    assert gap == pytest.approx(best[0].score - best[1].score, abs=1e-4)
    assert first.exact


def test_members_of_one_name_have_their_number(log: shoal.Interactions) -> None:
    model = Blend("ease+ease(l2=5)+item-knn+ease(l2=9)", weights="0,1,1,1").fit(log, run=ONE)
    (best,) = shoal.recommend(model, model.items.take([0, 3, 5]), 1, because=True)
    assert list(best.evidence) == ["ease 2", "item-knn", "ease 4"]


def test_a_member_without_reasons_is_named(log: shoal.Interactions) -> None:
    model = Blend("ease+popularity").fit(log, run=ONE)
    assert not model.explains
    with pytest.raises(ModelError, match="as popularity among its members has none"):
        model.contributions(np.array([0], np.int32), np.ones(1, np.float32), 2)
    silent = Blend("ease+popularity", weights="1,0").fit(log, run=ONE)  # it takes no part
    assert silent.explains
    assert not Blend("popularity+ease", weights="1,0").fit(log, run=ONE).personal


def test_a_folder_keeps_the_weights_that_were_chosen(
    log: shoal.Interactions, tmp_path: Path
) -> None:
    split = halves(log)
    model = Blend(LINEAR, metric="ndcg@5").fit(split.train, split.validation, ONE)
    shoal.save(model, tmp_path / "m")
    loaded = shoal.load(tmp_path / "m")
    rows = split.test.history.matrix
    np.testing.assert_array_equal(loaded.score(rows), model.score(rows))
    assert loaded.facts == model.facts
    again = model.until_best()
    assert not again.chosen_by_validation
    again.fit(log, run=ONE)
    for place in ("0.weight", "1.weight"):
        assert again.facts[place] == pytest.approx(model.facts[place])
    assert "weights_chosen" not in again.facts


def test_weights_for_a_fit_to_everything_come_from_a_tenth(log: shoal.Interactions) -> None:
    unfitted = Blend(LINEAR, metric="ndcg@5")
    assert unfitted.chosen_by_validation == ("the weights",)
    best = with_best_epochs(unfitted, log, ONE)
    assert isinstance(best, Blend)
    assert len(best.weights.split(",")) == 2
    assert with_best_epochs(best, log, ONE) is best


def test_a_deep_member_beside_a_linear_one(log: shoal.Interactions) -> None:
    pytest.importorskip("torch")
    split = halves(log)
    deep = "mult-dae(factors=8;n_epochs=3;batch_size=20)"
    model = Blend(f"ease(l2=5)+{deep}", metric="ndcg@5").fit(split.train, split.validation, ONE)
    assert model.deep
    reached = shoal.evaluate(model, split.validation, "ndcg@5")["ndcg@5"]
    for one in model.members:
        assert reached >= shoal.evaluate(one, split.validation, "ndcg@5")["ndcg@5"] - 1e-9
    assert "1.best_epoch" in model.facts
    joined = Blend.of(*model.members, on=split.validation, metric="ndcg@5")
    again = shoal.evaluate(joined, split.validation, "ndcg@5")["ndcg@5"]  # spread of other users
    assert joined.facts["validation_ndcg@5"] == pytest.approx(again)
    alone = [shoal.evaluate(m, split.validation, "ndcg@5")["ndcg@5"] for m in model.members]
    assert again >= max(alone)
    assert "n_epochs=" in model.until_best().parts


def test_what_models_are_joined_on_has_their_items(log: shoal.Interactions) -> None:
    members = [m.fit(log, run=ONE) for m in (shoal.EASE(), shoal.ItemKNN())]
    with pytest.raises(DataError, match="other items than its members"):
        Blend.of(*members, on=from_dense(np.ones((3, N_ITEMS + 1))))
    with pytest.raises(DataError, match="fit both on the same training data"):
        Blend.of(members[0], shoal.EASE().fit(from_dense(random_dense()[:, :9]), run=ONE), on=log)
    whole: Any = halves(log)
    with pytest.raises(
        DataError, match=r"neither held-out users nor a log: give split\.validation"
    ):
        Blend.of(*members, on=whole)
    nothing: Any
    for nothing in (lambda: Blend.of(on=log), shoal.Product.of):
        with pytest.raises(ModelError, match="give the models that are to be joined"):
            nothing()


# -- forms --------------------------------------------------------------------------------


def test_a_blend_is_written_as_it_is_read() -> None:
    listed = Blend([shoal.EASE(l2=7), shoal.ItemKNN(k=5)], weights="0.7,0.3")
    assert listed.parts == "ease(l2=7.0)+item-knn(k=5)"
    (entrant,) = entrants_of(["blend(ease(l2=7.0)+item-knn(k=5); weights=0.7,0.3)"])
    assert entrant.label == "blend(ease(l2=7.0)+item-knn(k=5);weights=0.7,0.3)"
    assert entrant.unfitted().model_dump() == listed.model_dump()
    assert not entrant.searchable
    nested = Blend("blend(ease+gf-cf)+product(ease+item-knn;mode=ensemble)")
    assert [m.model_dump()["parts"] for m in nested.members] == ["ease+gf-cf", "ease+item-knn"]


def test_the_largest_weights_have_a_sum() -> None:
    blend = Blend("ease+gf-cf", weights="1e308,1e308")
    np.testing.assert_array_equal(blend._weights, [0.5, 0.5])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"parts": "ease"}, "two members or more"),
        ({"parts": "ease+nosuch"}, "no model is called 'nosuch'"),
        ({"parts": "ease+svae"}, "svae cannot be a member"),
        ({"weights": "1,2,3"}, "3 weights for 2 members"),
        ({"weights": "1,x"}, "write numbers from 0 on"),
        ({"weights": "1,-1"}, "write numbers from 0 on"),
        ({"weights": "nan,1"}, "write numbers from 0 on"),
        ({"weights": "0,0"}, "write numbers from 0 on"),
        ({"weights": ","}, "write numbers from 0 on"),
        ({"weights": "1,,2"}, "write numbers from 0 on"),
        ({"parts": "ease(l2=1;l2=2)+gf-cf"}, "l2 is set more than once"),
        ({"parts": "blend(" * 3000 + "ease+gf-cf" + "+ease)" * 3000}, "nested more than 20 deep"),
        ({"metric": "gini@10"}, "weights cannot be chosen by gini@10"),
    ],
)
def test_what_cannot_be_blended_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        Blend(**settings)
    with pytest.raises(DataError, match="no metric 'ndgc@5'"):
        Blend(metric="ndgc@5")


def test_members_and_weights_may_be_given_one_by_one() -> None:
    blend = Blend([shoal.EASE(l2=5), "gf-cf"], weights=[3, 1])
    assert [member.name for member in blend.members] == ["ease", "gf-cf"]
    text = Blend("ease(l2=5.0)+gf-cf", weights="3,1")
    assert blend.model_dump() == text.model_dump()


@pytest.mark.parametrize("parts", [5, [1, 2], [shoal.EASE(), None]])
def test_what_names_no_members_is_refused(parts: Any) -> None:
    with pytest.raises(ModelError, match=r"blend: parts=.*give models or their names"):
        Blend(parts)
