"""``shoal map`` and ``shoal similar --dissimilar`` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, shoal_command: Shoal) -> Path:
    """A folder with ``ratings.csv`` of two circles that do not meet, and a model in ``ease``."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:03}", 100 * (u % 2) + i, int(rng.integers(3, 6)))
        for u in range(120)
        for i in rng.choice(20, 9, replace=False)
    ]
    pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row").write_csv(
        tmp_path / "ratings.csv"
    )
    ids = [*range(20), *range(100, 120)]
    pl.DataFrame(
        {
            "item": ids,
            "title": ["<script>alert(1)</script>" if i == 3 else f"Film {i}" for i in ids],
            "circle": ["low|x" if i < 100 else "high" for i in ids],
        }
    ).write_csv(tmp_path / "films.csv")
    code, _, err = shoal_command(
        *("train", tmp_path / "ratings.csv", "--items", tmp_path / "films.csv"),
        *("--model", "ease", "--set", "l2=10", "--out", tmp_path / "ease"),
    )
    assert code == 0, err
    return tmp_path


def test_map_as_a_page(folder: Path, shoal_command: Shoal) -> None:
    pytest.importorskip("openTSNE")
    out = folder / "map.html"
    code, text, err = shoal_command(
        *("map", folder / "ease", "--out", out, "--perplexity", 6, "--colour", "circle", "--json")
    )
    assert code == 0, err
    answer = json.loads(text)
    assert answer["file"] == str(out)
    assert answer["items"] == answer["catalogue"] == 40
    assert answer["groups"] == {"high": 20, "low": 20}
    assert [p["name"] for p in answer["panels"]] == ["ease"]
    page = out.read_text()
    assert "<script>alert" not in page
    assert "Film 104" in page


def test_map_as_a_table_of_the_most_popular(folder: Path, shoal_command: Shoal) -> None:
    pytest.importorskip("openTSNE")
    out = folder / "map.csv"
    command = ("map", folder / "ease", "--out", out, "--items", 25, "--perplexity", 5)
    code, text, err = shoal_command(*command, "--log", folder / "ratings.csv")
    assert code == 0, err
    assert "the 25 most popular of 40 items" in text
    assert f"25 of 40 items, coloured by cluster: {out}" in text
    assert "ten nearest" in text
    counts = dict(pl.read_csv(folder / "ratings.csv")["item"].value_counts().iter_rows())
    shown = {counts[i] for i in pl.read_csv(out)["item"]}
    assert min(shown) >= sorted(counts.values())[-25]
    code, text, _ = shoal_command(*command)
    assert code == 0
    assert "the 25 most popular of 40 items, by training users" in text
    assert {counts[i] for i in pl.read_csv(out)["item"]} == shown


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--out", "map.jpg"], "ends in .png, .svg, .html"),
        (["--out", "no/where.png"], "there is no folder"),
        (["--out", "map.png"], "perplexity 30 needs at least 91 items"),
        (["--out", "map.png", "--perplexity", 5, "--colour", "genre"], "they have: title, circle"),
        (["--out", "map.png", "--perplexity", 5, "--items", -1], "ask for 1 or more"),
        (["--out", "map.png", "--perplexity", 5, "--clusters", 50], "ask for 1 to 9"),
        (["--out", "map.png", "--perplexity", 5, "--memory", "60kB"], "budget"),
    ],
)
def test_what_cannot_be_mapped_is_one_line(
    folder: Path,
    shoal_command: Shoal,
    monkeypatch: pytest.MonkeyPatch,
    options: list[object],
    complaint: str,
) -> None:
    pytest.importorskip("openTSNE")
    monkeypatch.chdir(folder)
    code, out, err = shoal_command("map", "ease", *options)
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (folder / "map.png").exists()


def test_dissimilar_items(folder: Path, shoal_command: Shoal) -> None:
    code, text, err = shoal_command("similar", folder / "ease", 105, "--dissimilar", "--json")
    assert code == 0, err
    answer = json.loads(text)
    scores = [row["score"] for row in answer["items"]]
    assert scores == sorted(scores)
    assert all(s < 0 for s in scores)
    assert 105 not in [row["id"] for row in answer["items"]]
    code, text, _ = shoal_command("similar", folder / "ease", 105, "--dissimilar", "-k", 2)
    assert code == 0
    assert "Film " in text
    code, _, err = shoal_command("similar", folder / "ease", "nope", "--dissimilar")
    assert code == 2
    assert "not in the model" in err


def test_dissimilar_items_of_other_models(folder: Path, shoal_command: Shoal) -> None:
    for name, setting in (("popularity", []), ("ease", ["--set", "nonnegative=true"])):
        code, _, err = shoal_command(
            *("train", folder / "ratings.csv", "--model", name, *setting, "--out", folder / "m")
        )
        assert code == 0, err
        code, text, err = shoal_command("similar", folder / "m", 105, "--dissimilar")
        if name == "popularity":
            assert code == 2
            assert "popularity has no weights between items" in err
        else:
            assert code == 0
            assert "this model never counts item '105' against others" in text
