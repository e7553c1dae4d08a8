"""Models that read item vectors, on the command line: files, cold items, splits, evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Two circles of readers; each book's vector says which circle it is of. Book 7 is new."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:03}", 100 * (u % 2) + i)
        for u in range(100)
        for i in rng.choice(np.setdiff1d(np.arange(20), [7]), 9, replace=False)
    ]
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(tmp_path / "log.csv")
    ids = [*range(20), *range(100, 120)]
    side = np.array([[i < 100, i >= 100] for i in ids]) + 0.1 * rng.normal(size=(40, 2))
    vectors = side.astype(np.float32)
    pl.DataFrame({"item": ids, "vector": vectors.tolist()}).write_parquet(tmp_path / "v.parquet")
    np.save(tmp_path / "v.npy", vectors)
    pl.DataFrame({"item": ids, "title": [f"Book {i}" for i in ids]}).write_csv(
        tmp_path / "books.csv"
    )
    return tmp_path


def test_a_new_book_is_recommended_marked_and_explained(shop: Path, shoal_command: Shoal) -> None:
    for vectors in ("v.parquet", "v.npy"):
        code, text, err = shoal_command(
            *("train", shop / "log.csv", "--items", shop / "books.csv", "--cold-items"),
            *("--vectors", shop / vectors, "--model", "l3ae", "--set", "l2=20,text=20"),
            *("--out", shop / "m"),
        )
        assert code == 0, err
        assert "40 of 40 items have a vector of 2 numbers; 2 of them have no interaction" in text
        assert "cold_items: 2" in text
        ask = ("recommend", shop / "m", "--history", "1,2", "-k", 18, "--because")
        code, text, _ = shoal_command(*ask)
        (line,) = [line for line in text.splitlines() if "Book 7 [7]" in line]
        assert line.endswith("(cold item)")
        assert "behaviour" in line
        assert "text +" in line
        _, text, _ = shoal_command(*ask, "--json")
        found = {row["id"]: row for row in json.loads(text)["items"]}
        assert found[7]["cold"]
        assert not found[3]["cold"]
        for row in found.values():
            assert sum(row["evidence"].values()) == pytest.approx(row["score"], abs=1e-5)
        assert found[7]["score"] > 0
        assert found.get(107, {"score": -1})["score"] < 0  # new too, of the other circle


def test_without_vectors_it_says_how_to_give_them(shop: Path, shoal_command: Shoal) -> None:
    code, _, err = shoal_command("train", shop / "log.csv", "--model", "l3ae", "--out", shop / "no")
    assert code == 2
    assert "--vectors FILE" in err
    assert len(err.splitlines()) == 1
    code, _, err = shoal_command("train", shop / "log.csv", "--cold-items", "--out", shop / "no")
    assert code == 2
    assert "--vectors FILE" in err


def test_evaluate_on_cold_items_ranks_them_alone_and_among_all(
    shop: Path, shoal_command: Shoal
) -> None:
    ask = (
        *("evaluate", shop / "log.csv", "--vectors", shop / "v.parquet", "--model", "ease-text"),
        *("--split", "cold-items", "--test-size", 0.25, "--metrics", "recall@5"),
    )
    code, text, err = shoal_command(*ask)
    assert code == 0, err
    assert "cold-items test, 10 of 38 items, seed 0" in text
    assert "ranked among all items" in text
    _, text, _ = shoal_command(*ask, "--json")
    found = json.loads(text)
    alone = found["metrics"]["recall@5"]["mean"]
    assert alone == pytest.approx(1)  # all of a circle's, before those of the other
    assert found["among_all"]["metrics"]["recall@5"]["mean"] < alone
    _, text, _ = shoal_command(*ask[:-1], "recall@5", "--model", "popularity", "--json")
    assert json.loads(text)["metrics"]["recall@5"]["mean"] < 0.8


def test_models_are_compared_and_tuned_on_cold_items(shop: Path, shoal_command: Shoal) -> None:
    how = (
        *("--vectors", shop / "v.parquet", "--split", "cold-items", "--test-size", 10),
        *("--validation-size", 8, "--metrics", "ndcg@5", "--json"),
    )
    names = "l3ae,ease-text,text-similarity,popularity"
    code, text, err = shoal_command("compare", shop / "log.csv", "--models", names, *how)
    assert code == 0, err
    found = json.loads(text)
    assert {m["model"] for m in found["models"]} == set(names.split(","))
    assert found["models"][-1]["model"] == "popularity"
    _, text, _ = shoal_command(
        *("tune", shop / "log.csv", "--model", "l3ae", "--trials", 3, "--metric", "ndcg@5"),
        *how,
    )
    sources = [trial["source"] for trial in json.loads(text)["trials"]]
    # beyond the budget, the models that L3AE contains as special cases
    assert sum(not source.startswith("special case") for source in sources) == 3


def test_a_comparison_without_vectors_leaves_them_out(shop: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command(
        *("compare", shop / "log.csv", "--models", "ease,l3ae", "--metrics", "ndcg@5", "--json")
    )
    assert code == 0
    found = json.loads(text)
    assert [m["model"] for m in found["models"]] == ["ease"]
    assert "--vectors FILE" in found["refused"]["l3ae"]


def test_new_items_are_added_to_a_folder_without_a_fit(shop: Path, shoal_command: Shoal) -> None:
    train = ("train", shop / "log.csv", "--vectors", shop / "v.parquet", "--set", "l2=20,text=20")
    shoal_command(*train, "--model", "l3ae", "--out", shop / "small")
    shoal_command(*train, "--cold-items", "--model", "l3ae", "--out", shop / "whole")
    add = ("add-items", shop / "small", shop / "v.parquet", "--out", shop / "larger")
    code, text, err = shoal_command(*add, "--items", shop / "books.csv")
    assert code == 0, err
    assert "2 items added, 40 in all" in text
    assert "38 were in the model already" in text
    found = {}
    for folder in ("larger", "whole"):
        ask = ("recommend", shop / folder, "--history", "1,2", "-k", 18, "--json")
        found[folder] = {row["id"]: row for row in json.loads(shoal_command(*ask)[1])["items"]}
    larger, whole = found["larger"], found["whole"]
    assert larger.keys() == whole.keys()
    for item, row in whole.items():
        assert larger[item]["score"] == pytest.approx(row["score"], abs=1e-5)
    assert larger[7]["cold"]
    _, text, _ = shoal_command("recommend", shop / "larger", "--history", "1,2", "-k", 18)
    assert "Book 7 [7]" in text
    code, text, _ = shoal_command(*add, "--json")
    assert json.loads(text) | {"folder": ""} == {
        "model": "l3ae", "added": 2, "items": 40, "known_before": 38, "without_vector": 0,
        "folder": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ids", "width", "complaint"),
    [
        ([1, 2], 2, "no new item: 2 of its 2 items are in the model"),
        ([500], 3, "have 3 numbers, those of the model 2"),
    ],
)
def test_items_that_cannot_be_added(
    shop: Path, shoal_command: Shoal, ids: list[int], width: int, complaint: str
) -> None:
    train = ("train", shop / "log.csv", "--vectors", shop / "v.parquet", "--set", "l2=20,text=20")
    shoal_command(*train, "--model", "l3ae", "--out", shop / "m")
    table = pl.DataFrame({"item": ids, "vector": [[1.0] * width for _ in ids]})
    table.write_parquet(shop / "new.parquet")
    add = ("add-items", shop / "m", shop / "new.parquet", "--out", shop / "larger")
    code, _, err = shoal_command(*add)
    assert code == 2
    assert complaint in err
    assert not (shop / "larger").exists()


def test_a_model_without_texts_takes_no_items(shop: Path, shoal_command: Shoal) -> None:
    shoal_command("train", shop / "log.csv", "--model", "ease", "--out", shop / "ease")
    pl.DataFrame({"item": [500], "vector": [[1.0, 2.0]]}).write_parquet(shop / "new.parquet")
    add = ("add-items", shop / "ease", shop / "new.parquet", "--out", shop / "larger")
    code, _, err = shoal_command(*add)
    assert code == 2
    assert "ease takes new items by a fit only" in err


def test_new_items_alone_are_listed(shop: Path, shoal_command: Shoal) -> None:
    train = ("train", shop / "log.csv", "--vectors", shop / "v.parquet", "--set", "l2=20,text=20")
    shoal_command(*train, "--cold-items", "--model", "l3ae", "--out", shop / "m")
    ask = ("recommend", shop / "m", "--history", "1,2", "-k", 1, "--json")
    code, text, err = shoal_command(*ask, "--new-items")
    assert code == 0, err
    assert [row["id"] for row in json.loads(text)["items"]] == [7]  # of the readers' own circle
    code, text, _ = shoal_command(*ask, "--new-items", "--only", "3,107")
    assert [row["id"] for row in json.loads(text)["items"]] == [107]
    shoal_command(*train, "--model", "l3ae", "--out", shop / "none")
    code, _, err = shoal_command(
        "recommend", shop / "none", "--history", "1,2", "-k", 1, "--new-items"
    )
    assert code == 2
    assert "add-items" in err
