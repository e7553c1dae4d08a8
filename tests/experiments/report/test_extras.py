"""What a report tells of fitted models, held against a person's own arithmetic."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.datasets.demo import demo_frames
from shoal.errors import MissingExtraError
from shoal.evaluation.evaluate import evaluate
from shoal.experiments.report import extras as module
from shoal.experiments.report import item_places
from shoal.experiments.report.extras import data_in_short, make_extras
from shoal.experiments.report.part import part
from shoal.models.registry import create
from shoal.run import Run
from shoal.splitting.held_out import Split
from tests.experiments.report import invented

RUN = Run(threads=1, seed=0)


@pytest.fixture(scope="module")
def log() -> Interactions:
    ratings, films = demo_frames(n_users=400, n_items=150)
    return shoal.read(ratings, items=films)


@pytest.fixture(scope="module")
def parts(log: Interactions) -> Split:
    return shoal.split(log, test=0.2, validation=0.1, seed=0)


@pytest.fixture(scope="module")
def models(parts: Split) -> dict[str, Recommender]:
    made = {
        "my ease": create("ease", {"l2": 20.0}),
        "deep one": create("mult-dae", {"n_epochs": 2}),
        "popularity": create("popularity", {}),
    }
    return {label: m.fit(parts.train, parts.validation, RUN) for label, m in made.items()}


@pytest.fixture(scope="module")
def found(models: dict[str, Recommender], parts: Split, log: Interactions) -> dict[str, Any]:
    return make_extras(models, parts, log, RUN)


def test_all_of_it_is_json_and_tells_nobody(found: dict[str, Any], parts: Split) -> None:
    text = json.dumps(found, allow_nan=False)
    assert found["notes"] == []
    assert not [user for user in parts.test.history.users.series.to_list() if f'"{user}"' in text]


def test_the_curve_of_popularity_is_that_of_sorted_counts() -> None:
    # items with 6, 3 and 1 users
    pairs = [(u, "a") for u in range(6)] + [(u, "b") for u in range(3)] + [(0, "c")]
    frame = pl.DataFrame(pairs, schema=["user", "item"], orient="row")
    told = data_in_short(shoal.read(frame))
    assert told["popularity"] == [[0.0, 0.0], [0.33333, 0.6], [0.66667, 0.9], [1.0, 1.0]]
    # histories of 3, 2, 2, 1, 1 and 1 items
    assert dict(map(tuple, told["history_quantiles"]))[1.0] == 3
    assert dict(map(tuple, told["history_quantiles"]))[0.5] == 1.5


def test_without_negative_weights_scores_are_those_of_the_positive_part(
    found: dict[str, Any], models: dict[str, Recommender], parts: Split
) -> None:
    told = found["negative_weights"]["ablation"]
    B = models["my ease"].weights
    n = len(B)
    assert told["label"] == "my ease"
    assert told["share"] == pytest.approx((B < 0).sum() / (n * (n - 1)))
    assert told["with"] == evaluate(models["my ease"], parts.test, ["ndcg@100"], RUN)["ndcg@100"]
    # the same by plain numpy: the mean of NDCG@100 of lists by X·max(B, 0)
    X = parts.test.history.matrix.toarray()
    scores = X @ np.maximum(B, 0)
    scores[X > 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :100]
    targets = parts.test.target.matrix.toarray() > 0
    discount = 1 / np.log2(np.arange(100) + 2)
    gained = (np.take_along_axis(targets, order, axis=1) * discount[: order.shape[1]]).sum(axis=1)
    ideal = np.array([discount[: min(100, t)].sum() for t in targets.sum(axis=1)])
    assert told["without"] == pytest.approx((gained / ideal).mean(), abs=1e-3)
    assert told["difference"] == pytest.approx(told["without"] - told["with"])
    assert told["ci95"][0] < told["difference"] < told["ci95"][1]


def test_of_one_test_user_there_is_no_interval(
    models: dict[str, Recommender], parts: Split, log: Interactions
) -> None:
    test, first = parts.test, np.arange(1)
    alone = replace(
        test, history=test.history.take_users(first), target=test.target.take_users(first)
    )
    only = {"my ease": models["my ease"]}
    extras = make_extras(only, replace(parts, test=alone), log, RUN)
    assert extras["negative_weights"]["ablation"]["ci95"] is None
    json.dumps(extras, allow_nan=False)


def test_the_model_itself_stays_as_it_was(models: dict[str, Recommender], parts: Split) -> None:
    before = np.array(models["my ease"].weights)
    make_extras(models, parts, parts.train, RUN)
    assert (before == models["my ease"].weights).all()
    assert (before < 0).any()


def test_people_get_what_recommend_gives_and_reasons_add_up(
    found: dict[str, Any], models: dict[str, Recommender], parts: Split
) -> None:
    persons = found["people"]["persons"]
    assert len(persons) == 3
    lengths = np.diff(parts.test.history.indptr)
    usual = int(np.abs(lengths - np.median(lengths)).argmin())
    assert f"{lengths[usual]:,} items" in persons[0]["title"]
    ours = shoal.recommend(
        models["my ease"], parts.test.history, 10,
        user=parts.test.history.users.take([usual])[0], because=True,
    )  # fmt: skip
    first, second = persons[0]["lists"]
    assert (first["label"], first["kind"]) == ("my ease", "linear")
    assert (second["label"], second["kind"]) == ("deep one", "deep")
    assert [row["title"] for row in first["rows"]] == [r.attributes["title"] for r in ours]
    held_out = set(parts.test.target.items.take(parts.test.target.only_user(usual).indices))
    assert [row["hit"] for row in first["rows"]] == [r.item in held_out for r in ours]
    strongest = max(ours[0].because, key=lambda reason: abs(reason.contribution))
    assert first["rows"][0]["reasons"][0]["amount"] == pytest.approx(strongest.contribution)
    assert all(not row["reasons"] for row in second["rows"])


def test_the_map_has_the_items_with_places_and_attributes(
    found: dict[str, Any], log: Interactions
) -> None:
    drawn = found["map"]["drawing"]
    assert found["map"]["model"] == "my ease"
    n = len(drawn["ids"])
    assert 100 < n <= log.n_items
    assert len(drawn["panels"][0]["xy"]) == 2 * n
    assert np.isfinite(drawn["panels"][0]["xy"]).all()
    assert drawn["colours"][-1]["name"] == "cluster"
    assert set(drawn["ids"]) <= set(map(str, log.items.series.to_list()))


def test_without_opentsne_there_is_a_plainer_map(
    models: dict[str, Recommender], parts: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MissingExtraError("no openTSNE")

    monkeypatch.setattr(item_places, "item_map", refuse)
    told = item_places.place_items("my ease", models["my ease"], parts.train, RUN)
    assert told["placed_by"] == "the two main components"
    assert told["kept"] is None
    xy = np.array(told["drawing"]["panels"][0]["xy"]).reshape(-1, 2)
    assert np.ptp(xy, axis=0).min() > 0


def test_a_large_catalogue_leaves_parts_out_and_says_so(
    models: dict[str, Recommender], parts: Split, log: Interactions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "MOST_ITEMS", 10)
    monkeypatch.setattr(item_places, "MOST_ITEMS", 10)
    told = make_extras(models, parts, log, RUN)
    assert told["negative_weights"] is None
    assert told["map"] is None
    assert told["people"] is not None
    assert len(told["notes"]) == 2
    assert all("150" in note or "items" in note for note in told["notes"])


def test_models_that_cannot_tell_anything_tell_nothing(
    models: dict[str, Recommender], parts: Split, log: Interactions
) -> None:
    told = make_extras({"popularity": models["popularity"]}, parts, log, RUN)
    assert told["people"] is None
    assert told["map"] is None
    assert told["negative_weights"] is None
    assert make_extras({}, parts, log, replace(RUN, threads=2))["map"] is None


def test_the_report_shows_them(found: dict[str, Any]) -> None:
    shown = part(invented.comparison() | {"extras": found}, "d1", [])
    assert shown["people"]["persons"][0]["lists"][0]["rows"][0]["reasons"][0]["bar"]
    assert shown["map"]["drawing"] is found["map"]["drawing"]
    assert "my ease" in shown["negative"]["text"]
    assert shown["share_text"].startswith("The most popular tenth of the items has ")
