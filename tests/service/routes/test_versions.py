"""Versions by HTTP: listing, activating, rolling back, and who may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import shoal
from shoal.artifact import Store
from tests.service.routes.conftest import Serve

READ, ADMIN = "read-key-0123456789", "admin-key-0123456789"
Fitted = Callable[[float], shoal.Recommender]
Until = Callable[[Callable[[], bool]], None]


def test_activate_and_roll_back(serve: Serve, store: Store, fitted: Fitted, until: Until) -> None:
    first = store.current()
    second = store.publish(fitted(20.0), activate=False, note="stronger").name
    client = serve(poll_seconds=3600)  # what changes now is noticed since the route says so
    rows = client.get("/v1/models").json()["models"]
    assert [(row["version"], row["live"]) for row in rows] == [(second, False), (first, True)]
    assert (rows[0]["parameters"]["l2"], rows[0]["note"], rows[0]["n_items"]) == (
        20.0,
        "stronger",
        17,
    )

    def answered_by() -> str:
        return str(
            client.post("/v1/recommend", json={"history": ["o1"]}).json()["model"]["version"]
        )

    assert answered_by() == first
    changed = client.post("/v1/models/activate", json={"version": second})
    assert (changed.status_code, changed.json()["live"]["version"]) == (200, second)
    assert store.current() == second
    until(lambda: answered_by() == second)
    assert client.post("/v1/models/rollback").json()["live"]["version"] == first
    until(lambda: answered_by() == first)


def test_what_cannot_be_activated(serve: Serve, store: Store, fitted: Fitted) -> None:
    client = serve()
    unknown = client.post("/v1/models/activate", json={"version": "../elsewhere"})
    assert unknown.status_code == 404
    assert store.current() in unknown.json()["detail"]  # the message says which there are
    nothing_before = client.post("/v1/models/rollback")
    assert nothing_before.status_code == 409
    broken = store.publish(fitted(20.0), activate=False).name
    arrays = store.folder(broken) / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-10])
    refused = client.post("/v1/models/activate", json={"version": broken})
    assert refused.status_code == 409
    assert "truncated" in refused.json()["detail"]
    row = client.get("/v1/models").json()["models"][0]
    assert (row["version"], row["live"]) == (broken, False)
    assert "truncated" in row["error"]


def test_only_administrators_change_versions(serve: Serve, store: Store) -> None:
    client = serve(read_key=READ, admin_key=ADMIN)
    body = {"version": store.current()}
    for key, status in ((None, 401), ("wrong-key-0123456789", 401), (READ, 403), (ADMIN, 200)):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        assert client.post("/v1/models/activate", json=body, headers=headers).status_code == status
    assert client.get("/v1/models", headers={"X-API-Key": READ}).status_code == 200


def test_one_model_folder_is_no_store(serve: Serve, fitted: Fitted, tmp_path: Path) -> None:
    shoal.save(fitted(5.0), tmp_path / "model")
    client = serve(model=tmp_path / "model")
    rows = client.get("/v1/models").json()["models"]
    assert [(row["model"], row["live"], row["parameters"]["l2"]) for row in rows] == [
        ("ease", True, 5.0)
    ]
    refused = client.post("/v1/models/rollback")
    assert refused.status_code == 409
    assert "shoal publish" in refused.json()["detail"]
