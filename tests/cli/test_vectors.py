"""``shoal vectors``, ``shoal index``, ``recommend --approximate`` and ``--policy``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal

from .test_map import Shoal

pytest.importorskip("torch")

POLICY = """
policy_configs:
  scoring_policy: {policy_type: elsa, factors: 6, n_epochs: 2, batch_size: 40, device: cpu}
"""


@pytest.fixture
def folder(tmp_path: Path, shoal_command: Shoal) -> Path:
    """A folder with ``log.csv``, and an ELSA of a policy file in ``elsa``."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:03}", f"i{100 * (u % 2) + i:03}", int(rng.integers(3, 6)))
        for u in range(90)
        for i in rng.choice(20, 8, replace=False)
    ]
    pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row").write_csv(
        tmp_path / "log.csv"
    )
    (tmp_path / "policy.yaml").write_text(POLICY)
    code, out, err = shoal_command(
        *("train", tmp_path / "log.csv", "--policy", tmp_path / "policy.yaml", "--min-value", 4),
        *("--set", "factors=5", "--out", tmp_path / "elsa", "--json"),
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["model"] == "elsa"
    known = found["parameters"]
    assert (known["factors"], known["n_epochs"], known["device"]) == (5, 2, "cpu")
    return tmp_path


def test_a_policy_in_the_other_commands(folder: Path, shoal_command: Shoal) -> None:
    (folder / "ease.yaml").write_text("training: {models: [{policy_type: ease, l2: 3}]}")
    code, out, _ = shoal_command(
        *("evaluate", folder / "log.csv", "--policy", folder / "ease.yaml", "--json"),
        *("--metrics", "ndcg@10"),
    )
    assert code == 0, out
    assert json.loads(out)["parameters"]["l2"] == 3
    code, out, _ = shoal_command(
        *("tune", folder / "log.csv", "--policy", folder / "ease.yaml", "--trials", 2, "--json"),
        *("--metric", "ndcg@10", "--metrics", "ndcg@10"),
    )
    assert code == 0, out
    assert json.loads(out)["best"]["l2"] == 3  # what the file says stays
    both = ("--model", "ease", "--policy", folder / "ease.yaml")
    code, _, err = shoal_command("evaluate", folder / "log.csv", *both)
    assert code == 2
    assert "give one of them" in err


def test_item_vectors_as_a_table_and_as_an_array(folder: Path, shoal_command: Shoal) -> None:
    model = shoal.load(folder / "elsa")
    out = folder / "vectors.parquet"
    code, text, err = shoal_command("vectors", folder / "elsa", "--out", out)
    assert code == 0, err
    assert "40 items, 5 numbers each" in text
    table = pl.read_parquet(out)
    assert table.schema == {"item": pl.String, "vector": pl.List(pl.Float32)}
    assert table["item"].to_list() == model.items.take(range(40))
    np.testing.assert_array_equal(np.stack(table["vector"].to_list()), model.vectors())
    code, text, err = shoal_command("vectors", folder / "elsa", "--out", folder / "v.npy", "--json")
    assert code == 0, err
    assert json.loads(text)["files"] == [str(folder / "v.npy"), str(folder / "v.parquet")]
    np.testing.assert_array_equal(np.load(folder / "v.npy"), model.vectors())
    assert pl.read_parquet(folder / "v.parquet")["item"].to_list() == table["item"].to_list()


def test_vectors_of_users_give_their_scores(folder: Path, shoal_command: Shoal) -> None:
    out, log = folder / "users.parquet", folder / "log.csv"
    code, text, err = shoal_command("vectors", folder / "elsa", "--log", log, "--out", out)
    assert code == 0, err
    assert "--min-value 4, as when elsa was trained" in text
    users = pl.read_parquet(out)
    vector = np.array(users.row(7)[1], np.float32)
    model = shoal.load(folder / "elsa")
    read = shoal.read(log, min_value=4)
    found = shoal.recommend(model, read, 5, user=users["user"][7])
    scores = model.vectors() @ vector
    codes = model.items.lookup(found.items)
    np.testing.assert_allclose([r.score for r in found], scores[codes], rtol=1e-4)


@pytest.mark.parametrize("out", ["x.json", "no/where.npy"])
def test_other_files_are_refused(folder: Path, shoal_command: Shoal, out: str) -> None:
    code, _, err = shoal_command("vectors", folder / "elsa", "--out", folder / out)
    assert code == 2
    assert "ends in .parquet or .npy" in err or "there is no folder" in err


def test_an_index_and_lists_from_it(folder: Path, shoal_command: Shoal) -> None:
    pytest.importorskip("faiss")
    asked = ("recommend", folder / "elsa", "--history", "i001,i002", "-k", 5, "--json")
    code, text, _ = shoal_command(*asked, "--approximate")
    assert code == 2
    assert "build one with shoal index" in text
    code, text, err = shoal_command("index", folder / "elsa", "--log", folder / "log.csv", "-k", 10)
    assert code == 0, err
    assert "flat index of 40 vectors of 5" in text
    assert "recall 1.0000 of the exact lists of 10, over 90 histories" in text
    exact, found = shoal_command(*asked)[1], shoal_command(*asked, "--approximate")[1]
    ids = [[row["id"] for row in json.loads(text)["items"]] for text in (exact, found)]
    assert ids[0] == ids[1]
    code, text, err = shoal_command(
        *("index", folder / "elsa", "--log", folder / "log.csv", "--kind", "hnsw", "--json")
    )
    assert code == 0, err
    assert json.loads(text)["kind"] == "hnsw"


def test_models_without_vectors_are_refused(folder: Path, shoal_command: Shoal) -> None:
    code, _, err = shoal_command(
        "train", folder / "log.csv", "--model", "ease", "--out", folder / "ease"
    )
    assert code == 0, err
    commands = [("vectors", folder / "ease", "--out", folder / "v.npy")]
    commands += [("index", folder / "ease", "--log", folder / "log.csv")]
    for command in commands:
        if command[0] == "index":
            pytest.importorskip("faiss")
        code, _, err = shoal_command(*command)
        assert code == 2
        assert "ease has no vectors" in err
