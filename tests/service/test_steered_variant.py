"""A variant that turns knobs: made before the model answers, so that no request waits for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.artifact import save
from shoal.datasets.demo import demo_frames

ONE_THREAD = shoal.Run(threads=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[shoal.Recommender, Path]:
    ratings, films = demo_frames(seed=0, n_users=600, n_items=300)
    log = shoal.read(ratings, min_value=4, min_user_items=5, items=films)
    fitted = shoal.EASE(l2=30.0).fit(log, None, ONE_THREAD)
    folder = tmp_path_factory.mktemp("steered") / "model"
    save(fitted, folder)
    return fitted, folder


def write(folder: Path, knob: str) -> Path:
    file = folder / "experiment.yaml"
    file.write_text(
        f"name: a\nvariants:\n  plain: {{share: 0.5}}\n"
        f'  turned: {{share: 0.5, steer: {{"{knob}": 3}}}}\n'
    )
    return file


def test_users_of_the_variant_get_steered_lists(
    client: Any, model: tuple[shoal.Recommender, Path], tmp_path: Path
) -> None:
    fitted, folder = model
    made_knobs = shoal.knobs(fitted)
    knob = next(iter(made_knobs))
    made = client(model=folder, experiment=write(tmp_path, knob.name))
    assert not made.get("/ready").json()["degraded"]
    history = fitted.items.take([1, 2, 3])
    shifts = made_knobs.shifts({knob.name: 3})
    plain = shoal.recommend(fitted, history, 10, run=ONE_THREAD).items
    turned = shoal.recommend(fitted, history, 10, steer=shifts, run=ONE_THREAD).items
    assert plain != turned
    lists: dict[str, Any] = {}
    for number in range(20):
        body = {"history": history, "user": f"u{number}"}
        told = made.post("/v1/recommend", json=body).json()
        lists[told["variant"]["name"]] = told
        items = [row["item"] for row in told["items"]]
        assert items == (turned if told["variant"]["name"] == "turned" else plain)
        own = made.post("/v1/recommend", json=body | {"steer": {}}).json()  # turns nothing
        assert [row["item"] for row in own["items"]] == plain
        assert own["variant"] == told["variant"]
    assert lists["turned"]["steering"]["levels"] == {knob.name: 3.0}
    assert lists["plain"].get("steering") is None


def test_a_knob_that_the_model_does_not_have_is_told(
    client: Any, model: tuple[shoal.Recommender, Path], tmp_path: Path
) -> None:
    fitted, folder = model
    made = client(model=folder, experiment=write(tmp_path, "no such knob"))
    told = made.get("/ready").json()
    assert told["degraded"]
    assert told["errors"][0].startswith("variant turned: ")
    history = fitted.items.take([1, 2, 3])
    for number in range(10):
        answer = made.post("/v1/recommend", json={"history": history, "user": f"u{number}"})
        assert answer.status_code == 200
        assert answer.json()["variant"] in (None, {"experiment": "a", "name": "plain"})
