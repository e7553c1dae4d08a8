"""Several live models: each request is answered by the one it names, by one version of it.

The second model has the weights of the first times ten, so that a score tells who answered.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shoal.artifact import Store, save
from shoal.errors import ShoalError
from shoal.service.doctor import examine
from shoal.service.settings import MAIN, make_settings
from tests.service.conftest import make_model
from tests.waiting import until


@pytest.fixture
def two(client: Any, tenfold: Store) -> Any:
    return client(also={"tenfold": tenfold.path})


def best(answer: dict[str, Any]) -> tuple[Any, float]:
    return answer["items"][0]["item"], answer["items"][0]["score"]


# B[10 → 20] = 3, B[10 → 30] = 2; what speaks most for 40 of all is 30
@pytest.mark.parametrize(
    ("route", "body", "expected"),
    [
        ("recommend", {"history": [10], "k": 1}, (20, 3)),
        ("rank", {"history": [10], "candidates": [30]}, (30, 2)),
        ("similar", {"item": 10, "k": 1}, (20, 3)),
        ("dissimilar", {"item": 20, "k": 1}, (40, -1)),
        ("complement", {"items": [10, 40], "k": 1}, (20, 4)),
    ],
)
def test_the_model_that_a_request_names_answers(
    two: Any, tenfold: Store, route: str, body: dict[str, Any], expected: tuple[int, float]
) -> None:
    by_default = two.post(f"/v1/{route}", json=body).json()
    assert best(by_default) == expected
    assert (
        two.post(f"/v1/{route}", json=body | {"model": MAIN}).json()["items"] == by_default["items"]
    )
    named = two.post(f"/v1/{route}", json=body | {"model": "tenfold"}).json()
    assert best(named) == (expected[0], 10 * expected[1])
    assert named["model"] == {"name": "ease", "version": tenfold.current()}
    assert by_default["model"] != named["model"]


def test_explain_and_the_forms_by_get(client: Any, tenfold: Store, tmp_path: Path) -> None:
    made = client(also={"tenfold": tenfold.path}, events=str(tmp_path / "events.db"))
    body = {"history": [10, 40], "item": 20}
    assert made.post("/v1/explain", json=body).json()["score"] == 4
    assert made.post("/v1/explain", json=body | {"model": "tenfold"}).json()["score"] == 40
    made.post("/v1/events", json={"events": [{"user": "u1", "item": 10}]})
    assert best(made.get("/v1/recommend/u1?k=1").json()) == (20, 3)
    assert best(made.get("/v1/recommend/u1?k=1&model=tenfold").json()) == (20, 30)
    for path in ("/v1/items", "/v1/items/10"):
        told = made.get(f"{path}?model=tenfold").json()
        assert told["model"]["version"] == tenfold.current()


def test_each_entry_of_a_batch_has_its_model(two: Any, tenfold: Store) -> None:
    entries = [
        {"history": [10], "k": 1, "model": "tenfold"},
        {"history": [10], "k": 1},
        {"history": [10], "k": 1, "model": "nobody"},
        {"history": [40], "k": 1, "model": "tenfold"},
        {"history": [10], "k": 1, "model": MAIN},
    ]
    told = two.post("/v1/batch", json={"requests": entries}).json()
    assert [row["status"] for row in told["answers"]] == [200, 200, 404, 200, 200]
    assert told["errors"] == 1
    problem = told["answers"][2]["error"]
    assert problem["errors"][0]["place"] == "body.requests[2].model"
    answers = [row["answer"] for row in told["answers"] if row["status"] == 200]
    assert [best(answer) for answer in answers] == [(20, 30), (20, 3), (10, 10), (20, 3)]
    versions = [answer["model"]["version"] for answer in answers]
    assert versions[0] == versions[2] == tenfold.current()
    assert versions[1] == versions[3] == told["model"]["version"] != tenfold.current()


@pytest.mark.parametrize("name", ["nobody", "x" * 64])
def test_an_unknown_model_is_a_404_that_names_those_there_are(two: Any, name: str) -> None:
    for answer, place in (
        (two.post("/v1/recommend", json={"history": [10], "model": name}), "body.model"),
        (two.post("/v1/similar", json={"item": 10, "model": name}), "body.model"),
        (two.get(f"/v1/items?model={name}"), "query.model"),
        (two.get(f"/v1/recommend/u1?model={name}"), "query.model"),
    ):
        told = answer.json()
        assert answer.status_code == 404, told
        assert told["detail"].startswith(f"{place}: no model '{name}'")
        assert told["detail"].endswith("there are main, tenfold")
        assert told["errors"][0]["place"] == place


@pytest.mark.parametrize("name", ["", "Main", "a b", "../x", "x" * 65, 7, None, ["main"], "<b>"])
def test_what_cannot_be_a_name_is_refused(two: Any, name: Any) -> None:
    answer = two.post("/v1/recommend", json={"history": [10], "model": name})
    if name is None:
        assert best(answer.json()) == (20, 3)
        return
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["place"] == "body.model"


def test_one_request_keeps_one_version_of_each_model(client: Any, tenfold: Store) -> None:
    """A swap between two entries of a batch does not reach the second one."""
    made = client(also={"tenfold": tenfold.path})
    service = made.app.state.service
    from shoal.service.endpoints import Call

    call = Call(service, "r", "POST", "/", {})
    main = call.served
    call.use("tenfold")
    first = call.served
    call.use(None)
    assert call.served is main
    tenfold.publish(make_model(20))
    until(lambda: service.models["tenfold"].served is not first)
    call.use("tenfold")
    assert call.served is first
    call.let_go()
    assert call.served.version == tenfold.current()


def test_a_new_version_of_another_model_takes_over(client: Any, tenfold: Store) -> None:
    made = client(also={"tenfold": tenfold.path})
    body = {"history": [10], "k": 1, "model": "tenfold"}
    tenfold.publish(make_model(20))
    until(lambda: best(made.post("/v1/recommend", json=body).json()) == (20, 60))
    assert best(made.post("/v1/recommend", json={"history": [10], "k": 1}).json()) == (20, 3)
    text = made.get("/metrics").text
    assert 'shoal_model_swaps_total{live="tenfold"} 2.0' in text
    assert 'shoal_model_swaps_total{live="main"} 1.0' in text
    now = [line for line in text.splitlines() if line.startswith("shoal_model_info{")]
    assert sorted(line.split('"')[1] for line in now if line.endswith(" 1.0")) == [
        "main",
        "tenfold",
    ]


def test_ready_tells_of_each_and_the_main_one_decides(
    client: Any, tenfold: Store, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    Store(empty, create=True)
    made = client(also={"tenfold": tenfold.path, "empty": empty})
    until(lambda: made.get("/v1/ready").json()["degraded"])
    told = made.get("/v1/ready")
    assert told.status_code == 200
    models = told.json()["models"]
    assert list(models) == ["main", "tenfold", "empty"]
    assert [models[name]["status"] for name in models] == ["ready", "ready", "missing"]
    assert models["tenfold"]["model"] == {"name": "ease", "version": tenfold.current()}
    assert models["tenfold"]["n_items"] == 4
    assert models["empty"]["model"] is None
    assert [error.partition(":")[0] for error in told.json()["errors"]] == ["empty"]
    answer = made.post("/v1/recommend", json={"history": [10], "model": "empty"})
    assert answer.status_code == 503
    assert "no version of empty answers yet" in answer.json()["detail"]
    assert made.post("/v1/recommend", json={"history": [10]}).status_code == 200
    shutil.rmtree(empty)
    save(make_model(3), empty)
    service = made.app.state.service
    service.models["empty"]._failed = None  # not to wait half a minute for the next attempt
    until(lambda: made.get("/v1/ready").json()["models"]["empty"]["status"] == "ready")
    assert not made.get("/v1/ready").json()["degraded"]


def test_a_main_model_that_is_missing_is_a_503_whatever_the_others_are(
    client: Any, tenfold: Store, tmp_path: Path
) -> None:
    Store(tmp_path / "empty", create=True)
    made = client(model=tmp_path / "empty", also={"tenfold": tenfold.path})
    assert made.get("/v1/ready").status_code == 503
    body = {"history": [10], "k": 1, "model": "tenfold"}
    assert best(made.post("/v1/recommend", json=body).json()) == (20, 30)


@pytest.mark.parametrize(
    ("also", "message"),
    [
        ({"main": "m"}, "'main' is the name of"),
        ({"Elsa": "m"}, "setting also.Elsa"),
        ({"": "m"}, "setting also."),
        ({f"m{n}": "m" for n in range(40)}, "setting also"),
        ("elsa", "setting also"),
    ],
)
def test_names_that_cannot_be_configured(also: Any, message: str) -> None:
    with pytest.raises(ShoalError, match=message):
        make_settings(model=Path("m"), also=also)


def test_doctor_looks_at_each(model_folder: Path, tenfold: Store, tmp_path: Path) -> None:
    settings = make_settings(
        model=model_folder, port=0, also={"tenfold": tenfold.path, "gone": tmp_path / "gone"}
    )
    findings = {f.check: f for f in examine(settings, model_folder, {})}
    assert findings["model"].state == "ok"
    assert findings["model tenfold"].state == "ok"
    assert findings["store tenfold"].text.startswith("1 version")
    assert findings["model gone"].state == "fault"
