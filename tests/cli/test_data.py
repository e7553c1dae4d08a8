"""``shoal data``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Shoal = Callable[..., tuple[int, str, str]]


def test_data_show_and_list(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("data", "show", ratings)
    assert code == 0
    assert "120 users × 40 items" in text
    found = json.loads(shoal_command("data", "show", ratings, "--json")[1])
    assert found["items_per_user"] == {"min": 9, "median": 9, "max": 9}
    assert "ml-1m" in shoal_command("data", "list")[1]
    assert any(
        e["name"] == "gowalla" for e in json.loads(shoal_command("data", "list", "--json")[1])
    )


def test_the_list_marks_what_nothing_protects(shoal_command: Shoal) -> None:
    """The Million Song Dataset comes over http; the hashes of MovieLens are published."""
    code, text, _ = shoal_command("data", "list", "--json")
    assert code == 0
    unprotected = {entry["name"]: entry["unprotected"] for entry in json.loads(text)}
    assert unprotected["msd"] == ["no hash", "no https"]
    assert unprotected["ml-1m"] == []
    assert unprotected["netflix"] == []  # nothing is downloaded
    assert unprotected["goodbooks-10k"] == ["no hash"]
    assert unprotected["amazon2023:Books"] == []
    _, text, _ = shoal_command("data", "list")
    (line,) = [line for line in text.splitlines() if line.startswith("goodbooks-10k")]
    assert line.rstrip().endswith("no hash")


EVENTS = 'who ,"thing, bought",event,when\n' + "".join(
    f"{u},{i},{'buy' if (u + i) % 3 else 'see'},{24 + (u + i) % 3}.08.2023\n"
    for u in range(1, 9)
    for i in range(1, 7)
)


def test_what_columns_mean_is_said_once(tmp_path: Path, shoal_command: Shoal) -> None:
    log = tmp_path / "log.csv"
    log.write_text(EVENTS)
    columns = ("--columns", 'user=who,item="thing, bought",time=when')
    code, text, _ = shoal_command("data", "show", log, *columns)
    assert code == 0
    assert 'columns: user=who , item="thing, bought", time=when' in text
    assert "not used: event" in text
    assert "times: 2023-08-24 … 2023-08-26" in text
    # of u + i = 2, …, 14 the multiples of 3 are seen only: 16 of the 48 pairs
    where = ("--where", "event = 'buy'")
    assert "where: 48 → 32" in shoal_command("data", "show", log, *columns, *where)[1]
    weights = ("--weights", "buy=3,see=1", "--values", "keep")
    ranges = json.loads(shoal_command("data", "show", log, *columns, *weights, "--json")[1])
    assert ranges["ranges"]["values"] == [1, 3]

    model = tmp_path / "model"
    code, _, err = shoal_command(
        *("train", log, "--model", "ease", "--set", "l2=1", "--out", model, *columns, *where)
    )
    assert code == 0, err
    code, text, err = shoal_command("recommend", model, "--log", log, "--user", 1, "-k", 1)
    assert code == 0, err
    assert "--where event = 'buy', as when ease was trained" in text
    # what user 1 only saw, items 2 and 5, is what is left to recommend
    recommended = json.loads(
        shoal_command("recommend", model, "--log", log, "--user", 1, "-k", 2, "--json")[1]
    )
    assert {r["id"] for r in recommended["items"]} == {2, 5}


def test_a_log_of_one_user_answers_and_does_not_train(
    model: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    log = tmp_path / "one.csv"
    log.write_text("userId,movieId\nnew,1\nnew,3\n")
    code, text, err = shoal_command("recommend", model, "--log", log, "-k", 2)
    assert code == 0, err
    assert [line.split(",")[:2] for line in text.splitlines()[-2:]] == [["new", "1"], ["new", "2"]]
    code, _, err = shoal_command("train", log, "--model", "ease", "--out", tmp_path / "m")
    assert code == 2
    assert "there is one user only" in err


def test_weights_are_numbers(tmp_path: Path, shoal_command: Shoal) -> None:
    log = tmp_path / "log.csv"
    log.write_text(EVENTS)
    code, _, err = shoal_command("data", "show", log, "--weights", "buy=much")
    assert code == 2
    assert "--weights buy=much: write numbers" in err
