"""``shoal embed`` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal

from ..text.embedders import KEY, Plan, number, serving
from .test_map import Shoal


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CSV file, and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = tmp_path / "films.csv"
    path.write_text(
        "movieId,title,genres\n10,Red Fox,Drama|War\n9,Blue Fox,\n7,,\n100,Red Sea,Sea\n"
    )
    return path


def test_words(films: Path, shoal_command: Shoal) -> None:
    pytest.importorskip("sklearn")
    out = films.with_name("v.parquet")
    command = ("embed", films, "--template", "{title}. {genres}", "--out", out)
    code, text, err = shoal_command(*command, "--dimension", 3)
    assert code == 0, err
    assert "1 of 4 items have no text" in text
    assert "4 items × 3 by tfidf(dimension=3, seed=0): " in text
    vectors = shoal.Vectors.read(out)
    assert vectors.ids.take(range(4)) == ["10", "100", "7", "9"]
    assert vectors.there.tolist() == [True, True, False, True]
    code, text, _ = shoal_command(*command, "--json")
    assert code == 0
    answer = json.loads(text)
    assert (answer["items"], answer["without_vector"]) == (4, 1)
    assert answer["sha256"] == shoal.Vectors.read(out).fingerprint()
    assert any("not 256" in note for note in answer["notes"])


def test_an_endpoint(films: Path, shoal_command: Shoal) -> None:
    out = films.with_name("v.parquet")
    with serving(Plan()) as plan:
        command = ("embed", films, "--template", "{title}", "--out", out, "--embedder")
        code, text, err = shoal_command(*command, f"{plan.url}#small", "--batch-size", 2)
        assert code == 0, err
        assert [len(asked["input"]) for asked in plan.asked] == [2, 1]
        code, text, err = shoal_command(*command, f"{plan.url}#small")
        assert len(plan.asked) == 2
        assert "3 of 3 different texts were in the cache" in text
        plan.answers = [(401, {}, {"error": {"message": f"bad key {KEY}"}})]
        code, text, err = shoal_command(*command, f"{plan.url}#other")
    assert code == 2
    assert "HTTP 401: bad key ***" in err
    assert KEY not in text + err
    matrix, _ = shoal.Vectors.read(out).onto(shoal.Vectors.read(out).ids)
    np.testing.assert_array_equal(matrix[0], number("Red Fox"))
    written = b"".join(f.read_bytes() for f in films.parent.rglob("*") if f.is_file())
    assert KEY.encode() not in written


def test_vectors_that_are_there(films: Path, shoal_command: Shoal) -> None:
    np.save(films.with_name("v.npy"), np.arange(8).reshape(4, 2))
    out = films.with_name("v.parquet")
    command = ("embed", films, "--embedder", films.with_name("v.npy"), "--out", out)
    code, text, err = shoal_command(*command)
    assert code == 0, err
    assert "4 items × 2 by file v.npy" in text
    np.testing.assert_array_equal(
        shoal.Vectors.read(out).matrix, [[0, 1], [6, 7], [4, 5], [2, 3]]
    )  # in the order of the texts 10, 100, 7, 9


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "say what of an item is to be embedded"),
        (["--template", "{name}"], "films.csv has: item, title, genres"),
        (["--template", "{title}", "--embedder", "bert"], "no such embedder 'bert'"),
        (["--template", "{title}", "--timeout", 3], "tfidf has no setting 'timeout'"),
        (["--embedder", "v.npy", "--dimension", 3], "v.npy holds vectors, which have no setting"),
        (["--embedder", "v.npy"], "v.npy cannot be read"),
        (["--template", "{title}", "--item", "sku"], "no column 'sku'"),
    ],
)
def test_what_cannot_be_embedded_is_one_line(
    films: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch,
    options: list[object], complaint: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(films.parent)
    code, out, err = shoal_command("embed", "films.csv", "--out", "v.parquet", *options)
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1
    assert out == ""
    assert not Path("v.parquet").exists()


def test_a_place_that_cannot_be_written_is_said_first(films: Path, shoal_command: Shoal) -> None:
    code, _, err = shoal_command("embed", films, "--out", films.with_name("v.csv"))
    assert code == 2
    assert "written as Parquet" in err


def test_real_texts(
    shoal_data: Callable[[str], Path], tmp_path: Path, shoal_command: Shoal
) -> None:
    """Texts of interactive fiction: the nearest text is often by the same author."""
    table, out = tmp_path / "games.parquet", tmp_path / "v.parquet"
    pl.read_parquet(shoal_data("ifdb") / "items.parquet").head(1500).write_parquet(table)
    command = ("embed", table, "--template", "{title}. {tags}", "--dimension", 64, "--out", out)
    code, _, err = shoal_command(*command)
    assert code == 0, err
    vectors = shoal.Vectors.read(out)
    assert vectors.dimension == 64
    author = dict(pl.read_parquet(table).select("item", "author").iter_rows())
    authors = np.array([author[i] for i in vectors.ids.take(range(len(vectors)))])
    F = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    likeness = F @ F.T
    np.fill_diagonal(likeness, -1)
    same = (authors[likeness.argmax(axis=1)] == authors).mean()
    counts = np.unique(authors, return_counts=True)[1]
    by_chance = (counts**2).sum() / len(authors) ** 2
    assert same > 5 * by_chance
