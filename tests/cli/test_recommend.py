"""``shoal recommend``: to histories, to users of a log, with reasons and rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal

Shoal = Callable[..., tuple[int, str, str]]


def test_recommend_stays_within_the_circle_and_gives_reasons(
    model: Path, shoal_command: Shoal
) -> None:
    code, text, _ = shoal_command(
        "recommend", model, "--history", "1,2,nope", "-k", 4, "--json", "--because"
    )
    assert code == 0
    answer = json.loads(text)
    assert len(answer["items"]) == 4
    assert all(row["id"] == row["item"] < 100 for row in answer["items"])
    assert not {1, 2} & {row["id"] for row in answer["items"]}
    assert answer["unknown"] == ["nope"]
    first = answer["items"][0]
    assert first["score"] == pytest.approx(
        sum(b["contribution"] for b in first["because"]), rel=1e-5
    )
    code, text, _ = shoal_command("recommend", model, "--history", "1,2,nope", "--because")
    assert code == 0
    assert "Film " in text
    assert "unknown, left out: nope" in text


def test_recommend_rules(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    def ids(*arguments: object) -> list[int]:
        code, text, err = shoal_command("recommend", model, "--json", *arguments)
        assert code == 0, err
        return [row["id"] for row in json.loads(text)["items"]]

    best = ids("--history", "1,2", "-k", 3)
    assert best[0] not in ids("--history", "1,2", "-k", 3, "--exclude", best[0])
    assert set(ids("--history", "1,2", "-k", 5, "--only", "5,6,105")) == {5, 6, 105}
    assert {1, 2} & set(ids("--history", "1,2", "-k", 40, "--include-seen"))
    assert len(ids("--log", ratings, "--user", "u001", "-k", 2)) == 2


def test_less_of_some_items(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    code, text, err = shoal_command(
        "recommend", model, "--history", "1,2", "--less", "5,nope", "-k", 3, "--json", "--because"
    )
    assert code == 0, err
    answer = json.loads(text)
    fitted = shoal.load(model)
    first, second, disliked = fitted.items.lookup([1, 2, 5])
    B = fitted.weights  # type: ignore[attr-defined]
    expected = B[first] + B[second] - np.maximum(B[disliked], 0)
    expected[[first, second, disliked]] = -np.inf
    best = np.argsort(-expected)[:3]
    assert [row["id"] for row in answer["items"]] == fitted.items.take(best)
    scores = [row["score"] for row in answer["items"]]
    assert scores == pytest.approx(expected[best].tolist(), rel=1e-5)
    assert {why["item"] for why in answer["items"][0]["because"]} == {1, 2, 5}
    assert "unknown, so not counted as less: nope" in text
    # a person reads the disliked item as such
    code, text, err = shoal_command(
        "recommend", model, "--history", "1", "--less", "5", "-k", 40, "--because"
    )
    assert code == 0, err
    reasons = [line for line in text.splitlines() if re.match(r" {7}[+-]", line)]
    disliked_lines = [line for line in reasons if "[5]" in line]
    assert disliked_lines
    assert all(re.match(r" +-\d\.\d+ less: Film 5 \[5\]", line) for line in disliked_lines)
    assert not any("less" in line for line in reasons if "[5]" not in line)
    code, _, err = shoal_command("recommend", model, "--log", ratings, "--less", "5")
    assert code != 0
    assert "--less is what one person wants less of" in err


def test_recommend_for_a_whole_log(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "recs.parquet"
    code, text, _ = shoal_command("recommend", model, "--log", ratings, "-k", 3, "--out", out)
    assert code == 0
    assert "360 recommendations for 120 users" in text
    frame = pl.read_parquet(out)
    assert frame.columns == [
        *("user", "rank", "item", "score", "fallback", "title"),
        *("model", "model_version", "model_created"),
    ]
    assert frame["title"].to_list() == [f"Film {i if i < 100 else i - 80}" for i in frame["item"]]
    assert not frame["fallback"].any()
    manifest = json.loads((model / "manifest.json").read_text())
    assert frame["model"].unique().to_list() == [manifest["model"]]
    assert frame["model_created"].unique().to_list() == [manifest["created"]]
    assert frame["model_version"].n_unique() == 1
    odd = frame.filter(pl.col("user").str.ends_with("1"))
    assert (odd["item"] >= 100).all()
    code, text, _ = shoal_command("recommend", model, "--log", ratings, "-k", 1)
    assert text.splitlines()[0] == (
        "user,rank,item,score,fallback,title,model,model_version,model_created"
    )
    assert len(text.splitlines()) == 121


def test_a_log_is_read_as_the_model_s_own_was(ratings: Path, shoal_command: Shoal) -> None:
    folder = ratings.parent / "liked"
    code, _, err = shoal_command("train", ratings, "--min-value", 5, "--out", folder)
    assert code == 0, err
    code, text, _ = shoal_command("recommend", folder, "--log", ratings, "--user", "u000", "-k", 3)
    assert code == 0
    assert "--min-value 5, as when ease was trained" in text
    given = ("recommend", folder, "--log", ratings, "--user", "u000", "-k", 3, "--json")
    plain, told = shoal_command(*given)[1], shoal_command(*given, "--min-value", 5)[1]
    assert plain == told
    assert plain != shoal_command(*given, "--min-value", 1)[1]


def test_ids_with_commas_stand_in_quotes(tmp_path: Path, shoal_command: Shoal) -> None:
    frame = pl.DataFrame({"user": [1, 1, 2, 2, 3, 3], "item": ["a, b", "c", "a, b", "d", "c", "d"]})
    frame.write_parquet(tmp_path / "log.parquet")
    shoal_command("train", tmp_path / "log.parquet", "--out", tmp_path / "m")
    code, text, err = shoal_command(
        "recommend", tmp_path / "m", "--history", 'c, "a, b"', "-k", 1, "--json"
    )
    assert code == 0, err
    assert json.loads(text)["items"][0]["id"] == "d"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_the_same_person_rated_low_is_not_recommended(
    tmp_path: Path, shoal_command: Shoal
) -> None:
    """Everyone rates 8 of 12 items with 1 to 5; items below 4 must not come back to them."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"g{i}", int(rng.integers(1, 6)))
        for u in range(40)
        for i in rng.choice(12, 8, replace=False)
    ]
    log = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    log.write_csv(tmp_path / "log.csv")
    train = ("train", tmp_path / "log.csv", "--min-value", 4, "--out", tmp_path / "m")
    assert shoal_command(*train)[0] == 0
    out = tmp_path / "out.parquet"
    told = ("recommend", tmp_path / "m", "--log", tmp_path / "log.csv", "-k", 3, "--out", out)
    code, text, err = shoal_command(*told)
    assert code == 0, err
    n_below = log.filter(pl.col("rating") < 4).height
    assert f"{n_below:,} pairs below --min-value count as seen" in text
    assert pl.read_parquet(out).join(log, on=["user", "item"]).height == 0
    assert shoal_command(*told, "--include-seen")[0] == 0
    assert pl.read_parquet(out).join(log, on=["user", "item"]).height > 0

    low = log.filter(pl.col("rating") < 4).row(0, named=True)["user"]
    mine = set(log.filter(pl.col("user") == low)["item"])
    code, text, _ = shoal_command(*told[:4], "--user", low, "-k", 12, "--json")
    answer = json.loads(text)
    assert {row["item"] for row in answer["items"]} == {f"g{i}" for i in range(12)} - mine
    assert "were seen beside it" in answer["shortfall"]


def test_another_log_of_what_was_seen(model: Path, tmp_path: Path, shoal_command: Shoal) -> None:
    log = write(tmp_path / "some.csv", "user,item\na,1\na,2\nb,3\nb,4\n")
    seen = write(tmp_path / "seen.csv", "user,item,value\na,5,0\nb,6,-1\nnobody,7,1\n")
    out = tmp_path / "out.csv"
    told = ("recommend", model, "--log", log, "--seen", seen, "-k", 40)
    assert shoal_command(*told, "--out", out)[0] == 0
    pairs = set(pl.read_csv(out).select("user", "item").iter_rows())
    assert ("a", 5) not in pairs
    assert ("b", 6) not in pairs
    assert {("a", 6), ("b", 5), ("a", 7)} <= pairs
    code, text, _ = shoal_command(*told, "--user", "a", "--json")
    assert 5 not in {row["item"] for row in json.loads(text)["items"]}
    code, _, err = shoal_command("recommend", model, "--history", "1", "--seen", seen)
    assert (code, "--seen goes with --log" in err) == (2, True)


def test_histories_of_unknown_items_get_the_most_popular_ones_marked(
    model: Path, ratings: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    counts = pl.read_csv(ratings)["movieId"].value_counts(sort=True)
    most = counts["count"][0]
    code, text, _ = shoal_command("recommend", model, "--history", "900,901", "-k", 3, "--json")
    answer = json.loads(text)
    assert (code, answer["fallback"], answer["unknown"]) == (0, "popularity", ["900", "901"])
    assert [row["score"] for row in answer["items"]] == counts["count"].to_list()[:3]
    assert answer["items"][0]["score"] == most
    text = shoal_command("recommend", model, "--history", "900", "-k", 3)[1]
    assert "these are the most popular items" in text
    code, _, err = shoal_command("recommend", model, "--history", "900", "--fallback", "none")
    assert code == 2
    assert "none of the 1 items of the history is known" in err

    log, out = write(tmp_path / "l.csv", "user,item\n1,1\n2,900\n3,2\n3,901\n"), tmp_path / "o.csv"
    told = ("recommend", model, "--log", log, "-k", 2, "--out", out)
    code, text, _ = shoal_command(*told)
    assert "1 of 3 users has no item that the model knows" in text
    table = pl.read_csv(out)
    assert table.select("user", "fallback").unique().sort("user").rows() == [
        *((1, False), (2, True), (3, False))
    ]
    assert table.filter(pl.col("user") == 2)["score"][0] == most
    code, text, _ = shoal_command(*told, "--fallback", "none")
    assert "1 of 3 users has no item that the model knows: they get nothing" in text
    assert pl.read_csv(out)["user"].unique().sort().to_list() == [1, 3]
    code, text, err = shoal_command(*told[:4], "-k", 1)  # a table alone on standard output
    assert len(text.splitlines()) == 4
    assert "1 of 3 users" in err


def test_unknown_ids_of_rules_are_said(model: Path, shoal_command: Shoal) -> None:
    told = ("recommend", model, "--history", "1,2", "-k", 2)
    text = shoal_command(*told, "--exclude", "999,3")[1]
    assert "excluded, but not in the catalogue: 999" in text
    text = shoal_command(*told, "--only", "5,6,777")[1]
    assert "to be chosen among, but not in the catalogue: 777" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "5\n6\n105\n"),
        ("ids.csv", "5,6,105\n"),
        ("table.csv", "item,why\n5,a\n6,b\n105,c\n"),
        ("films.tsv", "movieId\twhy\n5\ta\n6\tb\n105\tc\n"),
        ("no-ending", "5, 6\n105"),
    ],
)
def test_ids_of_rules_from_a_file(
    name: str, content: str, model: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    file = write(tmp_path / name, content)
    told = ("recommend", model, "--history", "1,2", "-k", 20, "--json")
    plain = shoal_command(*told, "--only", "5,6,105")[1]
    assert shoal_command(*told, "--only", f"@{file}")[1] == plain
    if file.suffix:
        assert shoal_command(*told, "--only", file)[1] == plain
    left = json.loads(shoal_command(*told, "--exclude", f"@{file}")[1])
    assert not {5, 6, 105} & {row["item"] for row in left["items"]}


def test_a_file_of_ids_that_is_not_there_or_empty(
    model: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    empty = write(tmp_path / "empty.txt", "\n")
    for option, said in ((f"@{tmp_path / 'gone.txt'}", "there is no file"), (empty, "no id")):
        code, _, err = shoal_command("recommend", model, "--history", "1", "--only", option)
        assert code == 2
        assert said in err


def test_batch_files_with_reasons(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "recs.parquet"
    told = ("recommend", model, "--log", ratings, "-k", 2, "--because", "--out")
    assert shoal_command(*told, out)[0] == 0
    for row in pl.read_parquet(out).iter_rows(named=True):
        parts = [reason["contribution"] for reason in row["because"]]
        assert len(parts) == 9  # all items of a history
        assert sum(parts) == pytest.approx(row["score"], rel=1e-4)
    assert shoal_command(*told, out.with_suffix(".csv"))[0] == 0
    texts = pl.read_csv(out.with_suffix(".csv"))["because"].to_list()
    assert all(len(text.split("; ")) == 3 for text in texts)  # people read the strongest


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        ("recommend", ("--seed", "--precision", "--checkpoint", "--training-log", "--cold-items")),
        ("similar", ("--seed", "--precision", "--checkpoint", "--training-log")),
        ("predict", ("--seed", "--precision", "--checkpoint", "--training-log", "--threads")),
    ],
)
def test_help_shows_only_options_that_act(
    command: str, absent: tuple[str, ...], shoal_command: Shoal
) -> None:
    code, text, _ = shoal_command(command, "--help")
    assert code == 0
    assert "--json" in text
    assert not [option for option in absent if option in text]
