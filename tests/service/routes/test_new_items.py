"""New items that come with a request, by their texts: they stand where `add_items` puts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.errors import DataError
from tests.service.routes.conftest import Serve

ITEMS = {
    **{f"r{n}": f"Robot number {n} repairs the tin ship" for n in range(8)},
    **{f"g{n}": f"Garden of roses and spring flowers {n}" for n in range(8)},
}
NEW = {
    "n1": "A robot and the tin ship",
    "n2": "Roses in a spring garden",
    "n3": "Tin robot repairs",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a model that reads texts, and the vectors that it was trained with."""
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    kinds = (list(ITEMS)[:8], list(ITEMS)[8:])
    rows = [(f"u{u}", i) for u in range(50) for i in rng.choice(kinds[u % 2], 4, replace=False)]
    table = pl.DataFrame({"item": list(ITEMS), "title": list(ITEMS.values())})
    vectors = shoal.embed(table, embedder="tfidf", template="{title}")
    vectors.write(folder / "vectors.parquet")
    log = shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"), items=table)
    model = shoal.L3AE(l2=5, text=3).fit(
        log.with_vectors(vectors.ids, vectors.matrix, space=vectors.space),
        None,
        shoal.Run(threads=1),
    )
    Store(folder / "store", create=True).publish(model)
    return folder


@pytest.fixture
def client(files: Path, serve: Serve) -> TestClient:
    return serve(model=files / "store", texts=files / "vectors.parquet")


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


@pytest.mark.parametrize("less", [[], ["r5", "g4"]])
def test_new_items_stand_where_add_items_puts_them(
    client: TestClient, files: Path, less: list[str]
) -> None:
    history = ["r0", "r1", "g0"]
    new = [{"item": item, "text": text} for item, text in NEW.items()]
    answer = ask(client, history=history, k=16, new_items=new, explain=True, less=less)
    model = Store(files / "store").load()
    table = pl.DataFrame({"item": list(NEW), "title": list(NEW.values())})
    vectors = shoal.embed(table, like=files / "vectors.parquet")
    larger = model.add_items(vectors.ids, vectors.matrix)
    best = {r.item: r for r in shoal.recommend(larger, history, 16, because=True, less=less)}
    rows = {row["item"]: row for row in answer["items"]}
    assert set(rows) == set(best)
    for item in NEW:
        assert rows[item]["score"] == pytest.approx(best[item].score, abs=1e-5)
        assert rows[item]["cold"]
        told = {reason["item"]: reason["contribution"] for reason in rows[item]["because"]}
        assert told == pytest.approx({w.item: w.contribution for w in best[item].because}, abs=1e-5)
    scores = [row["score"] for row in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in answer["items"]] == list(range(1, 17 - len(less)))
    # two robots of three are liked more than the roses
    assert rows["n1"]["score"] > rows["n2"]["score"]


def test_texts_are_made_of_attributes_as_in_training(client: TestClient) -> None:
    by_text = ask(client, history=["r0"], k=16, new_items=[{"item": "n1", "text": NEW["n1"]}])
    attributes = {"title": NEW["n1"], "year": 1999}
    new = [{"item": "n1", "attributes": attributes}]
    for _ in range(2):  # computed, and taken from memory
        by_attributes = ask(client, history=["r0"], k=16, new_items=new)
        rows = [{r["item"]: r["score"] for r in a["items"]} for a in (by_text, by_attributes)]
        assert rows[0] == rows[1]
        (row,) = (row for row in by_attributes["items"] if row["item"] == "n1")
        assert row["attributes"] == attributes


def test_without_a_known_history_there_is_no_score(client: TestClient) -> None:
    answer = ask(client, history=["nope"], new_items=[{"item": "n1", "text": NEW["n1"]}])
    assert answer["fallback"]["answered_by"] == "popularity"
    assert "n1" not in [row["item"] for row in answer["items"]]
    assert "new items are left out" in answer["notes"][0]


@pytest.mark.parametrize(
    ("new", "more", "place"),
    [
        ([], {}, "body.new_items"),
        ([{"item": "n1"}], {}, "has no text"),
        ([{"item": "r0", "text": "a robot"}], {}, "in the model already"),
        ([{"item": "n1", "text": "robot"}] * 2, {}, "twice"),
        ([{"item": "n1", "text": "zzz qqq"}], {}, "knows no word"),
        ([{"item": "n1", "text": "robot"}], {"filter": "title == 'x'"}, "body.filter"),
        ([{"item": "n1", "text": "robot"}], {"diversity": 0.5}, "body.diversity"),
        ([{"item": "n1", "words": "robot"}], {}, "body.new_items"),
        ([{"item": f"n{n}", "text": "robot"} for n in range(51)], {}, "body.new_items"),
        ("all", {}, "body.new_items"),
    ],
)
def test_bad_new_items(client: TestClient, new: Any, more: dict[str, Any], place: str) -> None:
    body = {"history": ["r0"], "new_items": new, **more}
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 422
    assert place in answer.json()["detail"]


def test_services_and_models_that_cannot(serve: Serve, files: Path, tmp_path: Path) -> None:
    body = {"history": ["o1"], "new_items": [{"item": "n1", "text": "robot"}]}
    without = serve().post("/v1/recommend", json=body)
    assert without.status_code == 422
    assert "setting texts" in without.json()["detail"]
    other = pl.DataFrame({"item": ["a", "b"], "title": ["green robot", "red rose"]})
    shoal.embed(other, embedder="tfidf", template="{title}").write(tmp_path / "other.parquet")
    strange = serve(model=files / "store", texts=tmp_path / "other.parquet")
    refused = strange.post("/v1/recommend", json={**body, "history": ["r0"]})
    assert refused.status_code == 422
    assert "another embedder" in refused.json()["detail"]
    with pytest.raises(DataError, match="is no file"):
        serve(texts=tmp_path / "nothing.parquet")
    ease = serve(texts=files / "vectors.parquet").post("/v1/recommend", json=body)
    assert ease.status_code == 422
    assert "ease knows items by their interactions alone" in ease.json()["detail"]
