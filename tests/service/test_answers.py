"""What the routes answer, against sums that a person can do: the weights are in conftest.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from shoal.artifact import save
from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.run import Run


@pytest.fixture
def ask(client: Any) -> Any:
    made = client()

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = made.post(f"/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


def pairs(answer: dict[str, Any]) -> list[tuple[Any, float]]:
    return [(row["item"], row["score"]) for row in answer["items"]]


def test_less_of_an_item_takes_its_weights_away(ask: Any) -> None:
    """10 gives 20, 30, 40 the scores 3, 2, 1; 40 gives 20 and 30 the score 1."""
    answer = ask("recommend", history=[10], less=[40], explain=True)
    assert pairs(answer) == [(20, 3 - 1), (30, 2 - 1)]
    reasons = [(why["item"], why["contribution"]) for why in answer["items"][0]["because"]]
    assert reasons == [(10, 3), (40, -1)]
    unknown = ask("recommend", history=[10], less=[99], k=2)
    assert pairs(unknown) == [(20, 3), (30, 2)]
    assert unknown["notes"] == ["unknown, so not counted as less: 99"]
    popular = ask("recommend", history=[], less=[20])
    assert [row["item"] for row in popular["items"]] == [10, 40, 30]
    assert popular["fallback"]["answered_by"] == "popularity"
    assert "left out, and change nothing else" in popular["notes"][0]


def test_recommend_adds_up_the_weights_of_the_history(ask: Any) -> None:
    answer = ask("recommend", history=[10, 40], k=2)
    assert pairs(answer) == [(20, 3 + 1), (30, 2 + 1)]
    assert [row["rank"] for row in answer["items"]] == [1, 2]
    assert answer["items"][0]["attributes"] == {"title": "Twenty", "year": 1990}
    assert answer["model"]["name"] == "ease"
    assert answer["fallback"] is None
    assert answer["unknown"] == []
    assert answer["took_ms"] >= 0


@pytest.mark.parametrize(
    "history",
    [
        [{"item": 10, "weight": 2}, {"item": "40"}],
        [40, {"item": 10, "weight": 2}],
        {"10": 2, "40": 1},
    ],
)
def test_weights_multiply(ask: Any, history: Any) -> None:
    assert pairs(ask("recommend", history=history, k=2)) == [(20, 2 * 3 + 1), (30, 2 * 2 + 1)]


def test_reasons_add_up_to_the_score_with_those_against(ask: Any) -> None:
    answer = ask("recommend", history=[20, 30], k=4, explain=True)
    assert pairs(answer) == [(40, 6 - 1), (10, 3.5)]
    because = answer["items"][0]["because"]
    assert [(why["item"], why["contribution"]) for why in because] == [(30, 6), (20, -1)]
    assert because[1]["attributes"]["title"] == "Twenty"
    assert "2 instead of 4" in answer["shortfall"]


def test_unknown_ids_are_listed_and_the_rest_answered(ask: Any) -> None:
    answer = ask("recommend", history=["zebra", 10, 99], k=1)
    assert pairs(answer) == [(20, 3)]
    assert answer["unknown"] == ["zebra", 99]
    assert answer["fallback"] is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"history": []}, "empty history"),
        ({"history": ["zebra"]}, "no known item in the history"),
        ({"user": "nobody"}, "unknown user"),
    ],
)
def test_the_popular_list_answers_where_the_model_cannot(
    ask: Any, body: dict[str, Any], reason: str
) -> None:
    answer = ask("recommend", **body, k=3)
    assert pairs(answer) == [(20, 9), (10, 5), (40, 4)]
    assert answer["fallback"]["answered_by"] == "popularity"
    assert reason in answer["fallback"]["reason"]


def test_the_popular_list_follows_the_rules_of_the_request(ask: Any) -> None:
    asked = {"history": [], "k": 4, "explain": True, "diversity": 0.5}
    answer = ask("recommend", **asked, exclude=[20], filter="year < 2010")
    assert pairs(answer) == [(10, 5), (30, 2)]
    assert answer["items"][0]["because"] == []
    assert answer["fallback"] == {"answered_by": "popularity", "reason": "empty history"}


def test_a_model_that_has_an_answer_to_nothing_gives_the_popular_list_too(
    client: Any, tmp_path: Any
) -> None:
    """A deep model scores an empty history by its biases, which nobody asked for."""
    from shoal.models.mult_dae import MultDAE
    from shoal.testing.toys import from_dense, two_groups

    log = from_dense(two_groups())
    save(MultDAE(n_epochs=1).briefly(log.n_items).fit(log), tmp_path / "model")
    made = client(model=tmp_path / "model")
    answer = made.post("/v1/recommend", json={"history": [], "k": 1}).json()
    ((item, score),) = pairs(answer)
    assert score == log.item_counts.max() == log.item_counts[item - 100]
    assert answer["fallback"]["answered_by"] == "popularity"
    own = made.post("/v1/recommend", json={"history": [100, 102], "k": 1}).json()
    assert own["fallback"] is None
    assert own["model"]["name"] == "mult-dae"


def test_rules_of_a_request(ask: Any) -> None:
    assert pairs(ask("recommend", history=[10], exclude=[20], k=1)) == [(30, 2)]
    assert pairs(ask("recommend", history=[10], only=[40], k=1)) == [(40, 1)]
    assert pairs(ask("recommend", history=[20], include_seen=True, exclude=[10], k=2)) == [
        (30, 4),
        (20, 0),
    ]
    assert pairs(ask("recommend", history=[10], filter="year >= 2000", k=2)) == [(30, 2), (40, 1)]
    assert pairs(ask("recommend", history=[10], boost="1 + 3 * (year == 2010)", k=1)) == [(40, 4)]


def test_more_than_the_catalogue_is_the_catalogue(ask: Any) -> None:
    answer = ask("recommend", history=[10], k=1000)
    assert [item for item, _ in pairs(answer)] == [20, 30, 40]
    assert answer["shortfall"]


def test_similar_and_dissimilar(ask: Any) -> None:
    assert pairs(ask("similar", item=20, k=2)) == [(30, 4), (10, 3.5)]
    assert pairs(ask("dissimilar", item="20", k=2)) == [(40, -1)]


def test_complement_of_a_cart(ask: Any) -> None:
    assert pairs(ask("complement", items=[10, 20], k=2)) == [(30, 2 + 4), (40, 1 - 1)]


def test_similar_items_by_their_attributes(ask: Any) -> None:
    assert pairs(ask("similar", item=10, k=3)) == [(20, 3), (30, 2), (40, 1)]
    assert pairs(ask("similar", item=10, k=3, filter="year >= 2000")) == [(30, 2), (40, 1)]
    assert pairs(ask("similar", item=10, k=1, boost={"year == 2000": 4})) == [(30, 2 * 4)]
    # 20 and 40 are the least alike: no weight from 20 speaks for 40, and 4 speaks for 30
    assert [item for item, _ in pairs(ask("similar", item=10, k=2, diversity=1))] == [20, 40]


def test_a_cart_by_attributes_and_rules(ask: Any) -> None:
    def complement(**options: Any) -> list[tuple[Any, float]]:
        return pairs(ask("complement", items=[10], **options))

    assert complement(k=1, filter="year >= 2010") == [(40, 1)]
    assert complement(k=1, boost="1 + 3 * (year == 2010)") == [(40, 1 * 4)]
    assert [item for item, _ in complement(k=2, diversity=1)] == [20, 40]
    assert complement(k=2, exclude=[20]) == [(30, 2), (40, 1)]
    assert complement(k=2, only=[40, 20], filter="year >= 2000") == [(40, 1)]


def test_rank_keeps_to_the_candidates(ask: Any) -> None:
    answer = ask("rank", history=[10], candidates=[40, "moon", 30, 20])
    assert pairs(answer) == [(20, 3), (30, 2), (40, 1)]
    assert answer["unknown"] == ["moon"]


def test_explain_tells_both_sides(ask: Any) -> None:
    answer = ask("explain", history=[20, 30, "moon"], item=40)
    assert answer["score"] == 5
    assert answer["rank"] == 1
    assert answer["exact"] is True
    assert [(r["item"], r["contribution"]) for r in answer["contributions"]] == [(30, 6), (20, -1)]
    assert answer["unknown"] == ["moon"]


def test_a_batch_answers_what_it_can(ask: Any) -> None:
    answer = ask("batch", requests=[{"history": [10], "k": 1}, {"k": 0}, 7, {"history": ["moon"]}])
    assert [row["status"] for row in answer["answers"]] == [200, 422, 422, 200]
    assert answer["errors"] == 2
    assert pairs(answer["answers"][0]["answer"]) == [(20, 3)]
    assert "requests[1].k" in answer["answers"][1]["error"]["detail"]


def test_predict_needs_a_rating_model(client: Any) -> None:
    answer = client().post("/v1/predict", json={"user": 1, "items": [10]})
    assert answer.status_code == 422
    assert "ease" in answer.json()["detail"]


@pytest.fixture(scope="module")
def rated() -> Any:
    """Half of the users give 5 to the even items and 1 to the odd ones, the others 2 and 4."""
    from shoal.testing.toys import from_dense

    rng = np.random.default_rng(1)
    first, even = np.arange(60)[:, None] % 2 == 0, np.arange(20)[None, :] % 2 == 0
    whole = np.where(first, np.where(even, 5, 1), np.where(even, 2, 4))
    return from_dense(whole * (rng.random(whole.shape) < 0.6))


def test_ratings_of_somebody_who_was_not_in_the_training_data(
    client: Any, rated: Any, tmp_path: Any
) -> None:
    model = UAutoRec(factors=6, l2=0.01, n_epochs=200, optimiser="rprop", lr=0.03)
    save(model.fit(rated, run=Run(threads=1)), tmp_path / "model")
    made = client(model=tmp_path / "model")

    def predict(**body: Any) -> Any:
        return made.post("/v1/predict", json=body)

    given = [{"item": 100 + n, "rating": 1 if n % 2 else 5} for n in range(12)]
    answer = predict(history=[*given, {"item": "moon", "rating": 3}], items=[114, 115, "x"]).json()
    assert [row["item"] for row in answer["items"]] == [114, 115]
    assert answer["items"][0]["rating"] > 4  # this half of the users gives 5 and 1
    assert answer["items"][1]["rating"] < 2
    assert answer["user"] is None
    assert answer["unknown"] == ["x", "moon"]
    opposite = {str(100 + n): 4 if n % 2 else 2 for n in range(12)}
    other = predict(history=opposite, items=[114, 115]).json()
    assert other["items"][0]["rating"] < 3 < other["items"][1]["rating"]
    by_user = predict(user=rated.users.take([0])[0], items=[114])
    assert by_user.json()["items"][0]["rating"] > 4
    (unknown,) = predict(history=[], items=[114]).json()["items"]
    assert unknown["cold"]
    assert unknown["rating"] == pytest.approx(float(rated.values.mean()))
    for wrong in ({}, {"history": given, "user": 1}, {"history": [100]}, {"history": {"100": "5"}}):
        refused = predict(items=[104], **wrong)
        assert refused.status_code == 422
        assert "body.history" in refused.text


def test_a_model_that_cannot_read_ratings_says_so(client: Any, rated: Any, tmp_path: Any) -> None:
    save(IAutoRec(factors=3, n_epochs=2).fit(rated), tmp_path / "model")
    body = {"history": {"100": 5}, "items": [104]}
    answer = client(model=tmp_path / "model").post("/v1/predict", json=body)
    assert answer.status_code == 422
    assert "i-autorec" in answer.json()["detail"]
    assert "not for histories" in answer.json()["detail"]


def test_the_short_form(client: Any) -> None:
    answer = client().get("/v1/recommend/nobody?k=2").json()
    assert pairs(answer) == [(20, 9), (10, 5)]


def test_stored_events_are_the_history_and_the_request_follows(client: Any, tmp_path: Any) -> None:
    from shoal.events import Event

    made: TestClient = client(
        events=str(tmp_path / "events.db"), event_weights={"view": 1, "buy": 3}
    )
    store = made.app.state.service.events  # type: ignore[attr-defined]
    store.append([Event("ann", "10", "buy"), Event("ann", "40", "view")])
    alone = made.post("/v1/recommend", json={"user": "ann", "k": 1}).json()
    assert pairs(alone) == [(20, 3 * 3 + 1)]
    both = made.post("/v1/recommend", json={"user": "ann", "history": [10], "k": 1}).json()
    assert pairs(both) == [(20, 3 + 1)]  # the weight of the request counts
    assert pairs(made.get("/v1/recommend/ann?k=1").json()) == [(20, 10)]


def test_every_answer_has_an_id_and_takes_a_sane_one(client: Any) -> None:
    made = client()
    first = made.post("/v1/recommend", json={"history": [10]})
    assert first.headers["x-request-id"] == first.json()["request_id"]
    own = made.post("/v1/recommend", json={"history": [10]}, headers={"X-Request-ID": "cart-7"})
    assert own.json()["request_id"] == own.headers["x-request-id"] == "cart-7"
    odd = made.post("/v1/recommend", json={"k": 0}, headers={"X-Request-ID": "a b<script>"})
    assert odd.json()["request_id"] == odd.headers["x-request-id"] != "a b<script>"
