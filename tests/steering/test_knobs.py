"""Knobs of the demo's films are what their names say, and turn lists as far as they are turned."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.ids import Ids
from shoal.errors import HistoryError, ModelError
from shoal.models.ease import EASE
from shoal.models.registry import create
from shoal.steering import clusters
from shoal.testing import from_dense
from shoal.testing.toys import two_groups
from tests.steering.conftest import ONE_THREAD

LEVELS = (-3.0, -1.0, -0.25, 0.0, 0.25, 1.0, 3.0)


def labels_of(films: pl.DataFrame, model: shoal.Recommender) -> list[set[str]]:
    """The genres and the decade of each item, in the order of the model's catalogue."""
    by_id = {row["item"]: row for row in films.iter_rows(named=True)}
    rows = [by_id[item] for item in model.items.series.to_list()]
    return [{*row["genres"].split("|"), f"{row['year'] // 10}0s"} for row in rows]


def test_names_agree_with_the_genres_of_the_items(
    model: shoal.Recommender, knobs: shoal.Knobs, films: pl.DataFrame
) -> None:
    labels, known = labels_of(films, model), model.known_items
    of_genres = {label for row in labels for label in row}
    named = [knob for knob in knobs if knob.name.partition(" · ")[0] in of_genres]
    assert len(named) >= 8
    assert len(named) >= 0.8 * len(knobs)
    for knob in named:
        value = knob.name.partition(" · ")[0]
        having = np.array([value in row for row in labels])
        purity = knob.weights[having].sum() / knob.weights.sum()
        base = having[known].mean()
        assert purity >= max(0.25, 1.5 * base), knob.name
        assert knob.share == pytest.approx(purity, abs=1e-4)
        assert knob.base == pytest.approx(base, abs=0.01)
        assert knob.is_mostly == (purity < 0.6)
    purities = [knob.share or 0 for knob in named]
    assert np.median(purities) > 0.4
    assert np.median([(knob.share or 0) / (knob.base or 1) for knob in named]) > 3


def test_names_are_different_and_members_have_weights_from_0_to_1(
    model: shoal.Recommender, knobs: shoal.Knobs
) -> None:
    assert len({name.casefold() for name in knobs.names}) == len(knobs) <= 24
    for knob in knobs:
        assert knob.weights.min() == 0
        assert knob.weights.max() == 1
        assert knob.n_items == (knob.weights > 0).sum()
        assert not knob.weights[~model.known_items].any()
        codes = model.items.lookup(knob.items)
        assert (knob.weights[codes] > 0).all()


def test_a_higher_level_never_takes_items_of_the_knob_from_the_list(
    model: shoal.Recommender, knobs: shoal.Knobs, log: shoal.Interactions
) -> None:
    raised = 0
    for knob in knobs[:6]:
        for user in log.users.take(range(0, log.n_users, log.n_users // 5)):
            history = log.history_of(user)
            shares = []
            for level in LEVELS:
                shifts = knobs.shifts({knob.name: level})
                found = shoal.recommend(model, history, 10, steer=shifts)
                codes = model.items.lookup(found.items)
                shares.append(int((knob.weights[codes] > 0).sum()))
            assert shares == sorted(shares), (knob.name, shares)
            raised += shares[-1] > shares[LEVELS.index(0.0)]
    assert raised >= 24  # of 30 or more: most lists are not full of the knob's items already


def test_level_0_changes_no_bit(
    model: shoal.Recommender, knobs: shoal.Knobs, log: shoal.Interactions
) -> None:
    history = log.history_of(log.users.take([3])[0])
    plain = shoal.recommend(model, history, 20)
    for levels in ({}, {knobs[0].name: 0}, dict.fromkeys(knobs.names, 0.0)):
        steered = shoal.recommend(model, history, 20, steer=knobs.shifts(levels))
        assert [(r.item, r.score) for r in steered] == [(r.item, r.score) for r in plain]
    everyone = shoal.recommend_all(model, log, 5, run=ONE_THREAD)
    nothing = knobs.shifts({knobs[1].name: 0})
    assert shoal.recommend_all(model, log, 5, steer=nothing, run=ONE_THREAD).equals(everyone)


def test_all_users_are_steered_as_each_is_alone(
    model: shoal.Recommender, knobs: shoal.Knobs, log: shoal.Interactions
) -> None:
    shifts = knobs.shifts({knobs[0].name: 1.0, knobs[1].name: -0.5})
    table = shoal.recommend_all(model, log, 5, steer=shifts, run=ONE_THREAD)
    for user in log.users.take([0, 17, 101]):
        alone = shoal.recommend(model, log, 5, user=user, steer=shifts)
        assert table.filter(pl.col("user") == user)["item"].to_list() == alone.items


def test_levels_add_up_and_names_do_not_mind_their_case(knobs: shoal.Knobs) -> None:
    first, second = knobs[0], knobs[1]
    shifts = knobs.shifts({first.name.upper(): 1.5, f" {second.name} ": -2})
    np.testing.assert_allclose(shifts, 1.5 * first.weights - 2 * second.weights, rtol=1e-6)
    assert knobs.levels({first.name.lower(): np.float32(0.5), second.name: 0}) == {first.name: 0.5}


@pytest.mark.parametrize("level", [3.01, -4, float("nan"), float("inf"), "1", None, True])
def test_other_levels_are_refused(knobs: shoal.Knobs, level: object) -> None:
    with pytest.raises(HistoryError, match=r"from −3 .*to 3"):
        knobs.shifts({knobs[0].name: level})  # type: ignore[dict-item]


def test_an_unknown_knob_is_told_the_nearest_and_all(knobs: shoal.Knobs) -> None:
    wrong = knobs[0].name[:-1] + "x"
    with pytest.raises(HistoryError) as refused:
        knobs.shifts({wrong: 1})
    assert f"did you mean {knobs[0].name!r}" in str(refused.value)
    assert all(name in str(refused.value) for name in knobs.names)
    with pytest.raises(HistoryError, match="two levels"):
        knobs.shifts({knobs[0].name: 1, knobs[0].name.upper(): 1})
    with pytest.raises(HistoryError, match="levels by the names"):
        knobs.shifts([knobs[0].name])  # type: ignore[arg-type]


def test_models_without_knobs_say_why() -> None:
    log = from_dense(two_groups())
    with pytest.raises(ModelError, match="the same to everyone"):
        shoal.knobs(create("popularity").fit(log))
    with pytest.raises(ModelError, match="too few"):
        shoal.knobs(EASE(l2=1.0).fit(from_dense([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]])))
    with pytest.raises(ModelError, match="predicts ratings"):
        shoal.knobs(shoal.UAutoRec())
    with pytest.raises(HistoryError, match="1 to 100"):
        shoal.knobs(EASE(l2=1.0).fit(log), 0)
    alike = EASE()
    alike.restore({"weights": np.ones((24, 24), np.float32)})
    alike.restore_catalogue(log.items, pl.DataFrame({"item": log.items.series}), "", {})
    with pytest.raises(ModelError, match="alike"):
        shoal.knobs(alike)


def test_clusters_without_an_item_table_are_named_by_popular_ids() -> None:
    """The users of `two_groups` have odd or even items, so these are the two clusters."""
    log = from_dense(two_groups())
    made = shoal.knobs(EASE(l2=5.0).fit(log))
    assert made.source == "clusters"
    assert len(made) == 2
    for knob in made:
        assert len(set(np.flatnonzero(knob.weights) % 2)) == 1
        codes = np.flatnonzero(knob.weights >= 0.5)
        order = codes[np.argsort(-log.item_counts[codes], kind="stable")]
        assert knob.name == ", ".join(map(str, log.items.take(order[:2])))
        assert knob.share is None


def test_titles_name_what_attributes_do_not() -> None:
    log = from_dense(two_groups())
    words = ["Lagoon", "Canyon"]
    titles = [f"The {words[i % 2]} and {'ABCDEFGHIJKL'[i // 2]}" for i in range(24)]
    table = pl.DataFrame({"item": log.items.series, "title": titles, "price": range(24)})
    model = EASE(l2=5.0).fit(log)
    model.restore_catalogue(log.items, table, "", {}, item_counts=log.item_counts)
    assert set(shoal.knobs(model).names) == {"Lagoon", "Canyon"}


def test_few_knobs_are_the_clearest_ones(model: shoal.Recommender) -> None:
    made = shoal.knobs(model, 3)
    assert len(made) == 3
    assert all(knob.to_dict()["n_items"] == knob.n_items for knob in made)


def test_ids_of_any_type_are_given_back_as_they_are() -> None:
    log = from_dense(two_groups())
    model = EASE(l2=5.0).fit(log)
    model.restore_catalogue(
        Ids(pl.Series([f"item-{i:02}" for i in range(24)]), "str"),
        pl.DataFrame({"item": [f"item-{i:02}" for i in range(24)]}),
        "",
        {},
    )
    made = shoal.knobs(model)  # saved before counts were kept
    assert all(isinstance(item, str) for knob in made for item in knob.items)


def test_only_the_most_popular_items_are_clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are put to the nearest cluster, by one history for each cluster."""
    monkeypatch.setattr(clusters, "CLUSTERED", 19)
    log = from_dense(two_groups())
    asked: list[int] = []
    model = shoal.EASE(l2=5.0).fit(log)
    real = type(model)._score

    def counted(self: shoal.EASE, histories: object) -> object:
        asked.append(histories.shape[0])  # type: ignore[attr-defined]
        return real(self, histories)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model), "_score", counted)
    made = shoal.knobs(model)
    assert sum(asked) <= 19 + 2
    for knob in made:
        assert len(set(np.flatnonzero(knob.weights) % 2)) == 1
    assert sum(knob.n_items for knob in made) > 19
