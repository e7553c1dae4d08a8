"""Files of others stay, outputs are no inputs, and what is printed is what would be written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shoal.cli import suggest, terminal
from shoal.files import guarded, made_by_shoal, write_table

Shoal = Callable[..., tuple[int, str, str]]

SOURCE = Path(terminal.__file__).parents[2]


@pytest.fixture
def place(model: Path, ratings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log, a model, and files that shoal did not make."""
    monkeypatch.chdir(ratings.parent)
    pl.DataFrame({"mine": [1]}).write_parquet("mine.parquet")
    pl.DataFrame({"mine": [1]}).write_parquet("v.parquet")
    Path("mine.csv").write_text("item,price\n1,2\n")
    Path("mine.html").write_text("<p>mine</p>")
    Path("notes.jsonl").write_text('{"note": 1}\n')
    Path("films").mkdir()
    pl.DataFrame({"mine": [1]}).write_parquet("films/ratings.parquet")
    Path("ml-1m").mkdir()
    pl.DataFrame({"mine": [1]}).write_parquet("ml-1m/items.parquet")
    return ratings.parent


def sums(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


LISTS = ("recommend", "model", "--log", "ratings.csv", "-k", 2, "--out")
REFUSED: list[tuple[Any, ...]] = [
    (*LISTS, "ratings.csv"),
    (*LISTS, "./ratings.csv"),
    (*LISTS, "mine.csv"),
    (*LISTS, "mine.parquet"),
    ("vectors", "model", "--out", "v.npy"),
    ("vectors", "model", "--out", "mine.parquet"),
    ("map", "model", "--out", "mine.html", "--perplexity", 5),
    ("map", "model", "--log", "ratings.csv", "--out", "ratings.csv"),
    ("evaluate", "ratings.csv", "--metrics", "ndcg@5", "--per-user", "ratings.csv"),
    ("evaluate", "ratings.csv", "--metrics", "ndcg@5", "--per-user", "mine.csv"),
    ("embed", "movies.csv", "--out", "mine.parquet"),
    ("demo", "--to", "films"),
    ("data", "fetch", "ml-1m", "--to", ".", "--mirror", "http://localhost:9"),
    ("generate", "--users", 9, "--items", 9, "--interactions", 20, "--out", "mine.parquet"),
    ("multiply", "model", "model", "--out", "model"),
    ("train", "ratings.csv", "--out", ".", "--model", "popularity"),
    (
        *("evaluate", "ratings.csv", "--model", "elsa", "--metrics", "ndcg@5"),
        *("--training-log", "notes.jsonl"),
    ),
    (
        *("evaluate", "ratings.csv", "--model", "elsa", "--metrics", "ndcg@5"),
        *("--training-log", "ratings.csv"),
    ),
]


@pytest.mark.parametrize("command", REFUSED, ids=lambda c: " ".join(map(str, c)))
def test_no_command_replaces_what_shoal_did_not_make(
    place: Path, shoal_command: Shoal, command: tuple[Any, ...]
) -> None:
    before = sums(place)
    code, _, err = shoal_command(*command)
    assert code == 2
    assert any(way in err for way in ("--overwrite", "name another", "name a file")), err
    assert sums(place) == before


def test_what_shoal_made_is_replaced_and_the_rest_where_it_is_told(
    place: Path, shoal_command: Shoal
) -> None:
    for name in ("lists.csv", "lists.parquet"):
        for k in (2, 3):  # the second time it finds its own file
            code, _, err = shoal_command(*LISTS[:4], "-k", k, "--out", name)
            assert code == 0, err
    assert pl.read_csv("lists.csv")["rank"].max() == 3
    for name in ("map.html", "map.csv", "map.svg", "map.png"):
        assert not Path(name).exists()
        for _ in range(2):
            code, _, err = shoal_command("map", "model", "--out", name, "--perplexity", 5)
            assert code == 0, err
    code, _, err = shoal_command(*LISTS, "mine.csv", "--overwrite")
    assert code == 0, err
    assert "user,rank,item,score" in Path("mine.csv").read_text()
    code, _, err = shoal_command(*LISTS, "ratings.csv", "--overwrite")
    assert code == 2  # an input is never an output


def test_a_folder_with_files_of_others_in_it_is_not_replaced(
    place: Path, shoal_command: Shoal
) -> None:
    again = ("train", "ratings.csv", "--model", "popularity", "--out", "model")
    Path("model/README.md").write_text("why this model")
    code, _, err = shoal_command(*again)
    assert code == 2
    assert "README.md" in err
    Path("model/README.md").unlink()
    Path("model/log.csv").write_bytes(Path("ratings.csv").read_bytes())
    code, _, err = shoal_command("train", "model/log.csv", *again[2:], "--overwrite")
    assert code == 2
    assert "read by this command" in err
    Path("model/log.csv").unlink()
    code, _, err = shoal_command(*again)
    assert code == 0, err


ODD = [
    "shop:book:0",
    "a\tb",
    "c\rd",
    "x [bold]y[/]",
    "=1+1",
    "é, „q“",
    'say "hi"',
    "-5",
    "\x1b[31mred",
]


@pytest.fixture
def odd(tmp_path: Path, shoal_command: Shoal) -> tuple[Path, Path]:
    """A log whose ids are hard to print, and a model."""
    rows = [(f"u{u}", ODD[(u + i) % len(ODD)]) for u in range(30) for i in range(4)]
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(tmp_path / "odd.csv")
    code, _, err = shoal_command(
        *("train", tmp_path / "odd.csv", "--set", "l2=1", "--out", tmp_path / "odd")
    )
    assert code == 0, err
    return tmp_path / "odd.csv", tmp_path / "odd"


@pytest.mark.parametrize("guard", [[], ["--guard-formulas"]])
def test_printed_lists_are_the_bytes_of_the_file(odd: tuple[Path, Path], guard: list[str]) -> None:
    log, model = odd
    command = [sys.executable, "-m", "shoal", "recommend", model, "--log", log, "-k", "3", *guard]
    settings = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "ascii"}
    printed = subprocess.run(command, env=settings, capture_output=True, check=True).stdout
    command += ["--out", log.parent / "written.csv"]
    subprocess.run(command, env=settings, capture_output=True, check=True)
    written = (log.parent / "written.csv").read_bytes()
    assert printed == written
    ids = set(pl.read_csv(io.BytesIO(written))["item"])
    assert ids == {"'" + i if guard and i[0] in "=-" else i for i in ODD}


def test_control_characters_of_data_do_not_reach_a_terminal(
    odd: tuple[Path, Path], shoal_command: Shoal
) -> None:
    _, model = odd
    _, text, _ = shoal_command("recommend", model, "--history", "a\tb", "-k", len(ODD) - 1)
    assert "\\x1b[31mred" in text
    assert "shop:book:0" in text
    assert "x [bold]y[/]" in text
    assert not set(text) & {"\x1b", "\r", "\t"}
    _, text, _ = shoal_command("recommend", model, "--history", "a\tb", "-k", 8, "--json")
    assert "\x1b" not in text
    assert {row["id"] for row in json.loads(text)["items"]} == set(ODD) - {"a\tb"}


def test_visible() -> None:
    assert (
        terminal.visible("a\tb\r\x1b]0;x\x07\u202e é 漢 🐟") == r"a\tb\r\x1b]0;x\x07\u202e é 漢 🐟"
    )


def test_formulas_are_guarded_in_texts_alone(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"item": ["=1+1", "+a", "@b", "\tc", "a=b", None], "x": [-1, 2, 3, 4, 5, 6]}
    )
    assert guarded(frame)["item"].to_list() == ["'=1+1", "'+a", "'@b", "'\tc", "a=b", None]
    assert guarded(frame)["x"].to_list() == [-1, 2, 3, 4, 5, 6]
    write_table(frame, tmp_path / "a.parquet", guard_formulas=True)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(frame)  # no spreadsheet reads it
    assert made_by_shoal(tmp_path / "a.parquet")
    frame.write_parquet(tmp_path / "b.parquet")
    assert not made_by_shoal(tmp_path / "b.parquet")


def test_suggested_commands_are_what_a_shell_reads(tmp_path: Path) -> None:
    words = ["my models/e 1", "red fish,'x' \"y\"", "$(rm -rf x)", "a\tb", "it's\n2", "plain"]
    line = suggest.command(*words)
    done = subprocess.run(
        ["bash", "-c", f'shoal() {{ printf "%s\\0" "$@"; }}; {line}'],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.decode().split("\0")[:-1] == words
    assert suggest.file("-x") == "./-x"


def test_a_list_of_ids_is_read_back() -> None:
    from shoal.cli.parse import id_list

    ids = ["a, b", 'say "hi"', "plain", "two\nlines", "x\u2028y", "7"]
    assert id_list(suggest.id_list(ids)) == ids


def test_nothing_is_written_into_a_model_folder_or_a_pipe(
    ratings: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    assert shoal_command("train", ratings, "--model", "ease", "--out", model)[0] == 0
    before = {p.name: p.read_bytes() for p in model.iterdir()}
    ids = tmp_path / "ids.csv"
    ids.write_text("item\n0\n1\n2\n")
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for out, only, says in (
        (model / "items.parquet", "0,1,2", "lies in the model folder"),
        (model / "lists.csv", "0,1,2", "lies in the model folder"),
        (ids, ids, "is read by this command"),
        (ids, f"@{ids}", "is read by this command"),
        (pipe, "0,1,2", "is no regular file"),
    ):
        code, _, err = shoal_command(
            "recommend",
            model,
            "--log",
            ratings,
            "--only",
            only,
            "-k",
            1,
            "--out",
            out,
            "--overwrite",
        )
        assert code == 2
        assert says in err
    assert {p.name: p.read_bytes() for p in model.iterdir()} == before
    assert ids.read_text().startswith("item")
    assert pipe.is_fifo()


def test_a_log_without_values_is_answered_by_a_model_with_a_threshold(
    ratings: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    model, log = tmp_path / "model", tmp_path / "pairs.csv"
    code, _, err = shoal_command(
        "train", ratings, "--min-value", 4, "--model", "ease", "--out", model
    )
    assert code == 0, err
    log.write_text("user,item\n1,0\n1,1\n2,2\n")
    code, _, err = shoal_command("recommend", model, "--log", log, "-k", 1, "--user", 1)
    assert code == 0, err
