"""The page of versions: what it compares, and changes that are asked about before they are made."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.artifact import Store, save
from shoal.artifact import store as store_module
from tests.service.routes.conftest import Serve
from tests.service.views.reading import ADMIN, ORIGIN, READ, hidden_fields, send, text_of

Fitted = Callable[[float], shoal.Recommender]


def evaluation(mean: float) -> dict[str, Any]:
    scores = {"ndcg@20": {"mean": mean, "se": 0.01, "users": 50}}
    return {"protocol": "strong test, seed 0", "users": 50, "metrics": scores}


@pytest.fixture
def versions(store: Store, fitted: Fitted) -> list[str]:
    """Three versions, the oldest first; the second one is live and the third one was never."""
    first = store.current()
    second = store.publish(fitted(20.0), metrics=evaluation(0.31), note="<b>bold</b> & בדיקה").name
    third = store.publish(fitted(30.0), metrics=evaluation(0.35), activate=False).name
    return [first, second, third]


def test_the_table_says_what_is_live_and_what_is_best(serve: Serve, versions: list[str]) -> None:
    answer = serve().get("/models")
    assert answer.status_code == 200
    rows = re.findall(r"<tr.*?</tr>", answer.text.partition("<tbody>")[2], re.S)
    assert [re.findall(r"<code class=\"id\">(.*?)</code>", row)[0] for row in rows] == [
        versions[2], versions[1], versions[0],
    ]  # fmt: skip
    third, second, first = rows
    assert "(best)" in third
    assert "0.3500" in third
    assert "± 0.0196" in second  # 1.96 · 0.01
    assert 'class="live"' in second
    assert 'class="live"' not in third + first
    assert "not measured" in first
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; בדיקה" in second
    assert "<b>bold" not in answer.text
    told = "tested on users kept out of training, seed 0, 50 users: 2 versions"
    assert told in text_of(answer)
    assert 'href="/metrics"' in answer.text  # without keys, a browser can follow it


def test_a_version_is_made_live_after_a_question(
    serve: Serve, store: Store, versions: list[str], until: Callable[[Callable[[], bool]], None]
) -> None:
    client = serve(poll_seconds=0.02)
    asked = client.get("/models", params={"confirm": "activate", "version": versions[2]})
    said = text_of(asked)
    assert f"Make {versions[2]} live?" in said
    assert f"until then {versions[1]} goes on" in said
    assert "ndcg@20 0.3100 ± 0.0196 0.3500 ± 0.0196" in said  # now, then
    assert store.current() == versions[1]  # nothing has happened yet
    fields = hidden_fields(asked)
    assert fields == {"model": "main", "version": versions[2], "live": versions[1]}
    done = send(client, "/models/activate", fields)
    assert done.status_code == 303
    assert store.current() == versions[2]
    said = text_of(client.get(done.headers["location"]))
    waits = f"{versions[2]} was chosen; it answers within seconds."
    assert waits in said or f"{versions[2]} answers now." in said
    until(lambda: f"{versions[2]} answers now." in text_of(client.get(done.headers["location"])))
    until(lambda: client.get("/ready").json()["model"]["version"] == versions[2])
    # sent once more by a page that does not know of the change: refused, and said why
    again = send(client, "/models/activate", {**fields, "version": versions[0]})
    assert again.status_code == 409
    assert f"meanwhile {versions[2]} is live" in text_of(again)
    assert store.current() == versions[2]


def test_a_roll_back_says_where_it_leads_and_goes_there(
    serve: Serve, store: Store, versions: list[str]
) -> None:
    client = serve()
    asked = client.get("/models?confirm=rollback")
    assert f"Go back to {versions[0]}?" in text_of(asked)
    assert "not measured in the same way" in text_of(asked)
    done = send(client, "/models/rollback", hidden_fields(asked))
    assert done.status_code == 303
    assert store.current() == versions[0]
    said = text_of(client.get(done.headers["location"]))
    assert f"{versions[0]} " in said
    assert "It was live before." in said
    nowhere = text_of(client.get("/models?confirm=rollback"))
    assert "no version that was live before is there and whole" in nowhere
    assert "Roll back…" not in nowhere


def test_a_broken_version_is_shown_with_its_reason_and_cannot_be_chosen(
    serve: Serve, store: Store, versions: list[str]
) -> None:
    arrays = store.folder(versions[2]) / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-10])
    client = serve()
    answer = client.get("/models")
    assert "is truncated or altered" in text_of(answer)
    assert f"confirm=activate&amp;model=main&amp;version={versions[2]}" not in answer.text
    asked = client.get("/models", params={"confirm": "activate", "version": versions[2]})
    assert "That cannot be done" in text_of(asked)
    assert "<form" not in asked.text
    fields = {"model": "main", "version": versions[2], "live": versions[1]}
    refused = send(client, "/models/activate", fields)
    assert refused.status_code == 409
    assert store.current() == versions[1]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"version": "../../etc"}, 404),
        ({"version": "20250101-000000-000-ease-0000"}, 404),
        ({"model": "other"}, 404),
        ({"live": "something else"}, 409),
        ({"version": ""}, 422),
        ({"more": "1"}, 422),
    ],
)
def test_forms_that_make_no_sense_change_nothing(
    serve: Serve, store: Store, versions: list[str], fields: dict[str, str], status: int
) -> None:
    client = serve()
    sent = {"model": "main", "version": versions[2], "live": versions[1], **fields}
    assert send(client, "/models/activate", sent).status_code == status
    assert store.current() == versions[1]


def test_only_administrators_on_our_own_pages_change_anything(
    serve: Serve, store: Store, versions: list[str]
) -> None:
    client = serve(read_key=READ, admin_key=ADMIN)
    fields = {"model": "main", "version": versions[2], "live": versions[1]}
    asked = client.get(
        "/models", params={"confirm": "activate", "version": versions[2]}, auth=("", READ)
    )
    assert asked.status_code == 200
    assert "This needs an admin key" in text_of(asked)
    assert "<form" not in asked.text
    assert "Make it live…" not in client.get("/models", auth=("", READ)).text
    assert client.get("/models").status_code == 401
    for auth, status in ((None, 401), (("", READ), 403)):
        for path in ("/models/activate", "/models/rollback"):
            sent = client.post(path, data=fields, headers=ORIGIN, auth=auth)
            assert sent.status_code == status
    elsewhere = {**ORIGIN, "Origin": "http://evil.example"}
    for headers in (elsewhere, {**ORIGIN, "Sec-Fetch-Site": "cross-site"}, {}):
        sent = client.post("/models/activate", data=fields, headers=headers, auth=("", ADMIN))
        assert sent.status_code == 403
    assert store.current() == versions[1]
    shown = client.get("/models", auth=("", ADMIN)).text
    assert "Make it live…" in shown
    assert 'href="/metrics"' not in shown  # which a browser could not send the key to
    done = send(client, "/models/activate", fields, auth=("", ADMIN))
    assert done.status_code == 303
    assert store.current() == versions[2]


def test_an_address_that_claims_a_change_is_not_believed(serve: Serve, versions: list[str]) -> None:
    client = serve()
    claimed = {"done": "activated", "model": "main", "version": versions[0]}
    said = text_of(client.get("/models", params=claimed))
    assert "was chosen" not in said
    assert "answers now" not in said
    assert client.get("/models?done=whatever").status_code == 422
    assert client.get("/models?confirm=activate&model=nobody").status_code == 404


def test_while_a_version_is_loaded_the_page_says_which_one_answers(
    serve: Serve, store: Store, versions: list[str]
) -> None:
    client = serve(poll_seconds=3600)
    store.activate(versions[2])  # somewhere else: this service looks once an hour
    said = text_of(client.get("/models"))
    assert f"{versions[2]} is being loaded; until then {versions[1]} answers" in said
    assert "still answers" in said


def test_a_version_that_cannot_be_loaded_is_said_on_top(
    serve: Serve, store: Store, versions: list[str], until: Callable[[Callable[[], bool]], None]
) -> None:
    client = serve(poll_seconds=0.02)
    (store.path / "CURRENT").with_suffix(".new").write_text("20250101-000000-000-ease-0000\n")
    (store.path / "CURRENT").with_suffix(".new").replace(store.path / "CURRENT")
    until(lambda: client.get("/ready").json()["degraded"])
    for path in ("/models", "/now"):
        said = text_of(client.get(path))
        assert "cannot be loaded" in said or "no version" in said
        assert f"{versions[1]} goes on answering" in said


def test_a_model_folder_has_no_versions_and_says_how_to_get_them(
    serve: Serve, fitted: Fitted, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    save(fitted(10.0), folder)
    client = serve(model=folder)
    said = text_of(client.get("/models"))
    assert "One model folder, without a way back" in said
    assert f"shoal publish {folder} STORE" in said
    assert "Roll back…" not in said
    assert "Make it live…" not in said
    sent = send(client, "/models/activate", {"version": "x"})
    assert sent.status_code == 409


def test_a_store_without_a_version_and_a_store_without_a_live_one(
    serve: Serve, store: Store, tmp_path: Path, fitted: Fitted
) -> None:
    empty = Store(tmp_path / "empty", create=True)
    said = text_of(serve(model=empty.path).get("/models"))
    assert "No version yet" in said
    assert f"--publish {empty.path}" in said
    name = empty.publish(fitted(10.0), activate=False).name
    said = text_of(serve(model=empty.path).get("/models"))
    assert "No version is live" in said
    asked = serve(model=empty.path).get("/models", params={"confirm": "activate", "version": name})
    assert "until then nothing answers" in text_of(asked)
    assert hidden_fields(asked)["live"] == ""


def test_several_live_models_have_a_table_each(
    serve: Serve, store: Store, fitted: Fitted, tmp_path: Path, versions: list[str]
) -> None:
    other = Store(tmp_path / "other", create=True)
    old = other.publish(fitted(1.0)).name
    other.publish(fitted(2.0))
    client = serve(also={"second": other.path})
    said = text_of(client.get("/models"))
    assert "main ease" in said
    assert "second ease" in said
    asked = client.get("/models?confirm=rollback&model=second")
    assert f"Go back to {old}?" in text_of(asked)
    assert send(client, "/models/rollback", hidden_fields(asked)).status_code == 303
    assert other.current() == old
    assert store.current() == versions[1]


def test_of_very_many_versions_the_newest_and_the_important_ones_are_shown(
    serve: Serve, store: Store, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.service.views import models_page

    monkeypatch.setattr(models_page, "MOST_SHOWN", 1)
    newer = [store.publish(store.folder(versions[0]), activate=False).name for _ in range(2)]
    said = text_of(serve().get("/models"))
    assert "5 versions, the newest first (3 are shown; " in said
    shown = [name for name in (*versions, *newer) if f"{name} " in said]
    assert shown == [versions[0], versions[1], newer[1]]  # the way back, the live one, the newest


def test_versions_are_not_read_again_each_time(
    serve: Serve, store: Store, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    described = store_module.described

    def counted(folder: Path, *arguments: Any, **options: Any) -> Any:
        read.append(folder.name)
        return described(folder, *arguments, **options)

    client = serve()
    monkeypatch.setattr(store_module, "described", counted)
    client.get("/models")
    assert sorted(read) == sorted(versions)
    client.get("/models")
    assert len(read) == len(versions)
    store.activate(versions[2])  # which one is live is told anew
    assert re.search(r'<tr class="live">.*?' + versions[2], client.get("/models").text, re.S)
    (store.path / versions[0] / "items.parquet").unlink()
    assert "broken" in text_of(client.get("/models"))
    assert (read.count(versions[0]), read.count(versions[1])) == (2, 1)
