"""The items of the live version by HTTP: search, pages, ids of any characters."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.service.routes.conftest import TITLES, Serve


def test_search_and_pages(serve: Serve) -> None:
    client = serve()
    answer = client.get("/v1/items", params={"search": "CAFE"}).json()
    assert [row["item"] for row in answer["items"]] == ["a/b", "plain"]  # begins with it; has it
    assert answer["items"][0]["attributes"] == {"title": "Café Müller"}
    assert (answer["total"], answer["next_cursor"]) == (2, None)
    assert answer["model"]["name"] == "ease"
    seen, cursor = [], ""
    while cursor is not None:
        query = {"limit": "7"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/items", params=query).json()
        assert page["total"] == 17
        seen += [(row["users"], row["item"]) for row in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len({item for _, item in seen}) == 17
    assert [users for users, _ in seen] == sorted((users for users, _ in seen), reverse=True)
    assert sum(users for users, _ in seen) == 60 * 5


@pytest.mark.parametrize("item", list(TITLES))
def test_ids_of_any_characters(serve: Serve, item: str) -> None:
    path = quote(item, safe="").replace(".", "%2E")
    answer = serve().get(f"/v1/items/{path}")
    assert answer.status_code == 200
    assert (answer.json()["item"], answer.json()["attributes"]["title"]) == (item, TITLES[item])


@pytest.mark.parametrize(
    ("path", "status", "place"),
    [
        ("/v1/items/nope", 404, "no item 'nope'"),
        ("/v1/items?limit=0", 422, "query.limit"),
        ("/v1/items?limit=101", 422, "query.limit"),
        ("/v1/items?cursor=zzz", 422, "query.cursor"),
        ("/v1/items?search=" + "a" * 201, 422, "query.search"),
        ("/v1/items?page=2", 422, "query.page"),
        ("/v1/items?search=%FF", 400, "UTF-8"),
    ],
)
def test_bad_requests(serve: Serve, path: str, status: int, place: str) -> None:
    answer = serve().get(path)
    assert answer.status_code == status
    assert place in answer.json()["detail"]


def test_a_cursor_belongs_to_a_version(serve: Serve) -> None:
    client = serve()
    cursor = client.get("/v1/items?limit=5").json()["next_cursor"]
    other = cursor[:-8] + ("0" * 8 if cursor[-8:] != "0" * 8 else "1" * 8)
    answer = client.get(f"/v1/items?cursor={other}")
    assert answer.status_code == 422
    assert "begin anew" in answer.json()["detail"]
