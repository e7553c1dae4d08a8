"""Variants that are versions or other models: what they answer, and what cannot be served."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shoal.artifact import Store, save
from shoal.errors import ShoalError
from shoal.service.app import create_app
from shoal.service.doctor import examine
from shoal.service.settings import make_settings
from tests.service.conftest import make_model
from tests.service.experiments import LISTS, THREE, USER, USERS, ask, rows, variant_by_hand
from tests.waiting import until

TWO = """
name: autumn
variants:
  control: {{share: 0.5}}
  older: {{share: 0.5, version: {version}}}
"""


def test_a_version_of_the_store_is_a_variant_and_is_activated_by_its_promotion(
    client: Any, file: Any, store: Store, events: str
) -> None:
    first = store.current()
    second = store.publish(make_model(2)).name
    made = client(model=store.path, experiment=file(TWO.format(version=first)), events=events)
    until(lambda: not made.app.state.service.experiment.faults())
    user = {variant_by_hand(user) == "control": user for user in USERS}
    told = ask(made, user=user[True])
    assert (told["variant"]["name"], rows(told)[0], told["model"]["version"]) == (
        "control", (20, 6), second,
    )  # fmt: skip
    told = ask(made, user=user[False])
    assert (told["variant"]["name"], rows(told)[0], told["model"]["version"]) == (
        "older", (20, 3), first,
    )  # fmt: skip
    third = store.publish(make_model(3)).name  # the variant keeps its version
    until(lambda: ask(made)["model"]["version"] == third)
    assert rows(ask(made, user=user[False]))[0] == (20, 3)
    told = made.post("/v1/online/promote", json={"variant": "older"}).json()
    assert told["activated"] == first
    assert store.current() == first
    until(lambda: ask(made, model="main")["model"]["version"] == first)
    assert 'live="version:' in made.get("/metrics").text
    undone = made.post("/v1/online/promote", json={"variant": None}).json()
    assert undone["activated"] == third


def test_a_version_that_cannot_be_loaded_is_told_and_nobody_gets_an_error(
    client: Any, file: Any, store: Store, events: str
) -> None:
    first = store.current()
    store.publish(make_model(2))
    (store.folder(first) / "arrays.safetensors").write_bytes(b"broken")
    made = client(model=store.path, experiment=file(TWO.format(version=first)), events=events)
    until(lambda: made.get("/ready").json()["degraded"])
    told = made.get("/ready")
    assert told.status_code == 200
    assert told.json()["errors"][0].startswith("variant older: ")
    for user in USERS[:20]:
        answer = ask(made, user=user)
        assert rows(answer)[0] == (20, 6)
        expected = "control" if variant_by_hand(user) == "control" else None
        assert (answer["variant"] and answer["variant"]["name"]) == expected


def test_a_version_that_is_removed_goes_on_and_is_told(
    client: Any, file: Any, store: Store, events: str
) -> None:
    first = store.current()
    store.publish(make_model(2))
    made = client(model=store.path, experiment=file(TWO.format(version=first)), events=events)
    until(lambda: not made.app.state.service.experiment.faults())
    shutil.rmtree(store.folder(first))
    until(lambda: made.get("/ready").json()["degraded"])
    assert "has no version" in made.get("/ready").json()["errors"][0]
    user = next(user for user in USERS if variant_by_hand(user) != "control")
    assert rows(ask(made, user=user))[0] == (20, 3)


def test_settings_that_the_model_cannot_take_are_told_and_nobody_gets_an_error(
    client: Any, file: Any, events: str
) -> None:
    text = "name: autumn\nvariants:\n  a: {share: 0.5}\n  b: {share: 0.5, filter: 'colour = 1'}\n"
    made = client(experiment=file(text), events=events)
    told = made.get("/ready").json()
    assert told["degraded"]
    assert told["errors"][0].startswith("variant b: ")
    assert "colour" in told["errors"][0]
    variants = {variant_by_hand(user) == "control": ask(made, user=user) for user in USERS[:20]}
    assert variants[True]["variant"]["name"] == "a"
    assert variants[False]["variant"] is None
    assert rows(variants[False]) == LISTS["control"]


def test_a_request_that_the_variant_cannot_answer_is_answered_without_it(
    client: Any, file: Any, events: str, tmp_path: Path
) -> None:
    """The model of the variant knows no years, so it cannot choose by them."""
    bare = make_model(10)
    titles = bare.item_table.select("item", "title")
    bare.restore_catalogue(bare.items, titles, "", {}, item_counts=bare.item_counts)
    save(bare, tmp_path / "bare")
    made = client(also={"tenfold": tmp_path / "bare"}, experiment=file(THREE), events=events)
    user = USER["tenfold"]
    assert rows(ask(made, user=user)) == LISTS["tenfold"]
    told = ask(made, user=user, filter="year >= 2000")
    assert (told["variant"], rows(told)) == (None, [(30, 2), (40, 1)])
    assert told["fallback"] == {
        "answered_by": "ease",
        "reason": "the variant of this user cannot answer such a request",
    }
    batch = {"requests": [{"history": [10], "user": user, "k": 2, "filter": "year >= 2000"}]}
    (row,) = made.post("/v1/batch", json=batch).json()["answers"]
    assert rows(row["answer"]) == [(30, 2), (40, 1)]
    assert row["answer"]["model"]["version"] == told["model"]["version"]
    wrong = {"history": [10], "user": user, "filter": "year >>= 2000"}  # which nobody can answer
    answer = made.post("/v1/recommend", json=wrong)
    assert answer.status_code == 422
    assert "the variant" not in answer.text


# --- what is refused at the start ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nvariants: {x: {share: 0.5}, y: {share: 0.4}}", "the shares sum to 0.9"),
        ("name: a\nvariants: {x: {share: 1, model: elsa}}", "no live model is called 'elsa'"),
        ("name: a\nvariants: {x: {share: 1, version: v7}}", "is no store of versions"),
        ("name: a\nvariants: {x: {share: 1, diversity: 2}}", "variants.x.diversity"),
        ("name: a\nvariants: {x: {share: 1, boost: {'year > 1': 1.0e+9}}}", "variants.x.boost"),
        ("name: a\nvariants: {x: {share: 1}}\nsuccess: buy", "event_weights has no such type"),
        ("name: [", "experiment.yaml"),
        ("", "experiment.yaml"),
    ],
)
def test_an_experiment_that_cannot_be_served(
    model_folder: Path, file: Any, text: str, message: str
) -> None:
    settings = make_settings(
        model=model_folder, port=0, experiment=file(text), event_weights={"click": 1.0}
    )
    with pytest.raises(ShoalError) as error:
        create_app(settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    findings = {finding.check: finding for finding in examine(settings, None, {})}
    assert findings["experiment"].state == "fault"


def test_a_version_that_is_not_in_the_store(store: Store, file: Any) -> None:
    text = "name: a\nvariants: {x: {share: 1, version: v7}}"
    with pytest.raises(ShoalError, match=r"variants\.x\.version: .* has no version 'v7'"):
        create_app(make_settings(model=store.path, experiment=file(text)))


def test_no_file(model_folder: Path, tmp_path: Path) -> None:
    settings = make_settings(model=model_folder, experiment=tmp_path / "gone.yaml")
    with pytest.raises(ShoalError, match=r"gone\.yaml"):
        create_app(settings)


def test_doctor_looks_at_versions_of_variants(store: Store, file: Any, events: str) -> None:
    first = store.current()
    store.publish(make_model(2))
    made = {"model": store.path, "port": 0, "events": events}
    settings = make_settings(experiment=file(TWO.format(version=first)), **made)
    findings = {finding.check: finding for finding in examine(settings, store.path, {})}
    assert findings["experiment"].state == findings[f"model {first}"].state == "ok"
    (store.folder(first) / "arrays.safetensors").write_bytes(b"broken")
    findings = {finding.check: finding for finding in examine(settings, store.path, {})}
    assert findings[f"model {first}"].state == "fault"


def test_doctor_misses_a_store_of_events(model_folder: Path, file: Any) -> None:
    text = "name: a\nvariants: {x: {share: 1}}"
    settings = make_settings(model=model_folder, port=0, experiment=file(text))
    findings = {finding.check: finding for finding in examine(settings, None, {})}
    assert findings["experiment"].state == "warning"
