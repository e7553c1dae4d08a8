"""Every option is used, or refused, or named: a table of those that would do nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shoal = Callable[..., tuple[int, str, str]]

EASE = ("evaluate", "ratings.csv", "--model", "ease", "--metrics", "ndcg@5")
REFUSED: list[tuple[tuple[Any, ...], str]] = [
    (("train", "ratings.csv", "--out", "m", "--split", "foo"), "--split does nothing"),
    (("train", "ratings.csv", "--out", "m", "--metrics", "nonsense"), "--metrics does nothing"),
    (("train", "ratings.csv", "--out", "m", "--test-size", 0.3), "without --evaluate"),
    (("train", "ratings.csv", "--out", "m", "--protocol", "mult-vae"), "without --evaluate"),
    (("train", "ratings.csv", "--out", "m", "--checkpoint", "c"), "not trained in epochs"),
    (("train", "ratings.csv", "--out", "m", "--training-log", "c"), "not trained in epochs"),
    (("train", "ratings.csv", "--out", "m", "--precision", "float32"), "not trained in epochs"),
    ((*EASE, "--checkpoint", "c"), "--checkpoint does nothing here, as ease is not"),
    ((*EASE, "--guard-formulas"), "without --per-user"),
    ((*EASE, "--overwrite"), "without --per-user"),
    ((*EASE, "--last", 2), "--last does nothing except with --split leave-last"),
    ((*EASE, "--protocol", "mult-vae", "--validation-size", 0.2), "with --protocol mult-vae"),
    ((*EASE, "--set", "l2=1", "--set", "l2=2"), "--set gives l2 twice: 1 and 2"),
    ((*EASE, "--set", "l2=1,l2=2"), "l2 twice"),
    (
        ("evaluate", "--train", "ratings.csv", "--test", "ratings.csv", "--split", "weak"),
        "--split does nothing where --train and --test",
    ),
    (
        ("compare", "ratings.csv", "--models", "ease", "--training-log", "c"),
        "--training-log does nothing",
    ),
    (
        ("compare", "ratings.csv", "--models", "ease,lae", "--checkpoint", "c"),
        "none of ease, lae is trained",
    ),
    (
        ("compare", "ratings.csv", "--set", "ease.l2=1", "--set", "EASE.l2=2"),
        "--set gives l2 of ease twice",
    ),
    (("tune", "ratings.csv", "--checkpoint", "c"), "--checkpoint does nothing"),
    (("recommend", "model", "--history", "1", "--min-value", 4), "--min-value does nothing"),
    (("recommend", "model", "--history", "1", "--columns", "user=a"), "without a log"),
    (("recommend", "model", "--history", "1", "--overwrite"), "--overwrite does nothing"),
    (("vectors", "model", "--out", "v.npy", "--k-core", 2), "--k-core does nothing"),
    (("map", "model", "--out", "x.html", "--columns", "user=a"), "--columns does nothing"),
    (
        ("map", "model", "--out", "x.html", "--colour", "title", "--clusters", 3),
        "--clusters does nothing with --colour title",
    ),
    (("map", "model", "--out", "x.html", "--guard-formulas"), "in .html files"),
    (
        ("plan", "--users", 9, "--items", 9, "--interactions", 9, "--min-value", 4),
        "--min-value does nothing",
    ),
]
# options that a command has no use for are none of it
ABSENT: list[tuple[tuple[Any, ...], str]] = [
    (("recommend", "model", "--history", "1"), "--seed"),
    (("recommend", "model", "--history", "1"), "--checkpoint"),
    (("similar", "model", "1"), "--training-log"),
    (("similar", "model", "1"), "--seed"),
    (("predict", "model", "--user", "1", "--items", "1"), "--threads"),
    (("vectors", "model", "--out", "v.npy"), "--seed"),
    (("index", "model", "--log", "ratings.csv"), "--checkpoint"),
    (("map", "model", "--out", "x.html"), "--precision"),
    (("multiply", "model", "model", "--out", "m"), "--seed"),
    (("add-items", "model", "v.parquet", "--out", "m"), "--threads"),
    (("embed", "movies.csv", "--out", "v.parquet"), "--checkpoint"),
    (("plan", "ratings.csv"), "--checkpoint"),
    (("generate", "--users", 9, "--items", 9, "--interactions", 9, "--out", "x"), "--memory"),
    (("demo",), "--training-log"),
    (("info",), "--seed"),
    (("data", "show", "ratings.csv"), "--seed"),
    (("data", "fetch", "ml-1m"), "--threads"),
]


@pytest.mark.parametrize(
    ("command", "says"), REFUSED, ids=[" ".join(map(str, c)) for c, _ in REFUSED]
)
def test_options_that_would_do_nothing_are_refused(
    model: Path, ratings: Path, shoal_command: Shoal, monkeypatch: Any,
    command: tuple[Any, ...], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(ratings.parent)
    code, _, err = shoal_command(*command)
    assert code == 2, err
    assert says in err
    assert not Path("m").exists()


@pytest.mark.parametrize(("command", "option"), ABSENT, ids=[f"{c[0]} {o}" for c, o in ABSENT])
def test_options_that_a_command_has_no_use_for_are_none_of_it(
    shoal_command: Shoal, command: tuple[Any, ...], option: str
) -> None:
    code, _, err = shoal_command(*command, option, "1")
    assert code == 2
    assert f"No such option: {option}" in err


def test_what_is_not_used_but_harmless_is_named(
    model: Path, ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ratings.parent)
    leave_last = ("--split", "leave-last", "--test-size", 0.3)
    code, _, err = shoal_command(*EASE, *leave_last)
    assert code == 0, err
    assert "note: --test-size does nothing with --split leave-last" in err
    code, text, err = shoal_command(*EASE, "--protocol", "mult-vae", "--seed", 5)
    assert code == 0, err
    assert "--protocol mult-vae splits by a seed of its own: --seed 5 is the models' alone" in text
