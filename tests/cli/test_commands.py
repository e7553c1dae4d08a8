"""The command line as a user meets it: answers, JSON, errors of one line, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Two circles of readers with tastes that do not meet, and titles."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:03}", 100 * (u % 2) + i, int(rng.integers(3, 6)), 1000 * u + i)
        for u in range(120)
        for i in rng.choice(20, 9, replace=False)
    ]
    frame = pl.DataFrame(rows, schema=["userId", "movieId", "rating", "timestamp"], orient="row")
    frame.write_csv(tmp_path / "ratings.csv")
    pl.DataFrame(
        {"movieId": [*range(20), *range(100, 120)], "title": [f"Film {v}" for v in range(40)]}
    ).write_csv(tmp_path / "movies.csv")
    return tmp_path / "ratings.csv"


@pytest.fixture
def model(ratings: Path, shoal_command: Shoal) -> Path:
    folder = ratings.parent / "model"
    code, _, err = shoal_command(
        *("train", ratings, "--items", ratings.parent / "movies.csv"),
        *("--model", "ease", "--set", "l2=10", "--out", folder),
    )
    assert code == 0, err
    return folder


def test_train_says_what_it_read_and_what_to_type_next(ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "m"
    code, text, _ = shoal_command("train", ratings, "--min-value", 4, "--out", out)
    assert code == 0
    assert "user=userId, item=movieId, value=rating, time=timestamp" in text
    assert "rating below 4" in text
    assert "negative_weights" in text
    assert f"shoal recommend {out}" in text


def test_train_as_json_with_metrics(ratings: Path, shoal_command: Shoal) -> None:
    command = (
        *("train", ratings, "--model", "rdlae", "--set", "xi=0.2,l2=5", "--evaluate"),
        *("--out", ratings.parent / "m", "--json", "--test-size", 0.2),
    )
    code, text, err = shoal_command(*command)
    assert code == 2  # ndcg@100 asks for more items than there are
    assert "smaller k" in json.loads(text)["error"]
    assert err == ""
    assert not (ratings.parent / "m").exists()
    code, text, _ = shoal_command(*command, "--metrics", "ndcg@10")
    assert code == 0
    found = json.loads(text)
    assert found["parameters"]["xi"] == 0.2
    assert found["metrics"]["users"] == 24
    kept = json.loads((ratings.parent / "m" / "manifest.json").read_text())["metrics"]
    assert kept["metrics"] == found["metrics"]["metrics"]


def test_recommend_stays_within_the_circle_and_gives_reasons(
    model: Path, shoal_command: Shoal
) -> None:
    code, text, _ = shoal_command(
        "recommend", model, "--history", "1,2,nope", "-k", 4, "--json", "--because"
    )
    assert code == 0
    answer = json.loads(text)
    assert len(answer["items"]) == 4
    assert all(row["id"] < 100 for row in answer["items"])
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


def test_recommend_for_a_whole_log(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    out = ratings.parent / "recs.parquet"
    code, text, _ = shoal_command("recommend", model, "--log", ratings, "-k", 3, "--out", out)
    assert code == 0
    assert "360 recommendations for 120 users" in text
    frame = pl.read_parquet(out)
    assert frame.columns == ["user", "rank", "item", "score"]
    odd = frame.filter(pl.col("user").str.ends_with("1"))
    assert (odd["item"] >= 100).all()
    code, text, _ = shoal_command("recommend", model, "--log", ratings, "-k", 1)
    assert text.splitlines()[0] == "user,rank,item,score"


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


def test_similar(model: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("similar", model, 105, "-k", 5, "--json")
    assert code == 0
    assert all(row["id"] >= 100 for row in json.loads(text)["items"])
    assert shoal_command("similar", model, "nope")[0] == 2


@pytest.mark.parametrize("split", ["strong", "weak", "leave-last", "time"])
def test_evaluate_every_split(ratings: Path, shoal_command: Shoal, split: str) -> None:
    code, text, err = shoal_command(
        *("evaluate", ratings, "--model", "item-knn", "--split", split, "--json"),
        *("--metrics", "ndcg@10,recall@5:tail,coverage@10", "--test-size", 0.2),
    )
    if split == "time":  # users come one after the other: none has a past and a future
        assert code == 2
        assert "history" in json.loads(text)["error"]
        return
    assert code == 0, err
    found = json.loads(text)
    assert set(found["metrics"]) == {"ndcg@10", "recall@5:tail", "coverage@10"}
    assert 0 < found["metrics"]["ndcg@10"]["mean"] <= 1
    assert found["definitions"]["ndcg@10"].startswith("Σ hit(r ≤ k)/log2(r+1)")


def test_evaluate_given_files_and_values_per_user(ratings: Path, shoal_command: Shoal) -> None:
    frame = pl.read_csv(ratings)
    last = pl.int_range(pl.len()).over("userId") < 2
    frame.filter(~last).write_parquet(ratings.parent / "train.parquet")
    frame.filter(last).write_parquet(ratings.parent / "test.parquet")
    per_user = ratings.parent / "per_user.parquet"
    code, text, _ = shoal_command(
        *("evaluate", "--train", ratings.parent / "train.parquet"),
        *("--test", ratings.parent / "test.parquet", "--model", "ease", "--set", "l2=10"),
        *("--metrics", "recall_full@5", "--json", "--per-user", per_user),
    )
    assert code == 0
    found = json.loads(text)["metrics"]["recall_full@5"]
    assert found["users"] == 120
    assert pl.read_parquet(per_user)["recall_full@5"].mean() == pytest.approx(found["mean"])


def test_compare_ranks_refuses_and_concludes(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,EASE,item_knn", "--metrics", "ndcg@10"),
        *("--set", "ease.l2=10", "--json", "--test-size", 0.3),
    )
    assert code == 0
    found = json.loads(text)
    assert found["models"][-1]["model"] == "popularity"
    assert {m["model"] for m in found["models"]} == {"popularity", "ease", "item-knn"}
    best = found["models"][0]
    assert best["against_best"] is None
    assert found["models"][-1]["against_best"]["p_holm"] < 0.05
    assert best["model"] in found["verdict"]
    assert all({"fit_seconds", "model_bytes"} <= set(m) for m in found["models"])
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "fast", "--metrics", "ndcg@10", "--tune", 2),
    )
    assert code == 0
    assert "is best by ndcg@10" in text
    assert "rdlae" in text
    assert "mult-vae" not in text
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,ease", "--metrics", "ndcg@10"),
        *("--memory", "5kB", "--json"),
    )
    assert code == 0
    assert "ease" in json.loads(text)["refused"]


def test_tune(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("tune", ratings, "--trials", 3, "--metric", "ndcg@10", "--json")
    assert code == 2  # the final table asks for @100
    code, text, _ = shoal_command(
        *("tune", ratings, "--trials", 3, "--metric", "ndcg@10", "--metrics", "ndcg@10", "--json")
    )
    assert code == 0
    found = json.loads(text)
    assert len(found["trials"]) == 3
    assert found["validation"]["ndcg@10"] == max(t["ndcg@10"] for t in found["trials"])


def test_info(model: Path, shoal_command: Shoal) -> None:
    for name in ("ease", "popularity"):
        code, text, _ = shoal_command("info", name)
        assert code == 0
        assert name in text
    assert json.loads(shoal_command("info", "rdlae", "--json")[1])["schema"]["properties"]["xi"]
    found = json.loads(shoal_command("info", "--json")[1])
    assert {"ease", "rdlae", "popularity"} <= set(found["models"])
    assert json.loads(shoal_command("info", model, "--json")[1])["model"] == "ease"
    code, text, _ = shoal_command("info", model)
    assert "ease l2=10" in text
    assert shoal_command("info", model / "nope")[0] == 2
    (model / "items.parquet").write_bytes(b"x")
    code, _, err = shoal_command("info", model)
    assert code == 2
    assert "items.parquet is truncated" in err


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


def test_demo_is_worth_reading(tmp_path: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("demo", "--to", tmp_path / "d")
    assert code == 0
    assert "is best by ndcg@20" in text
    assert text.count(" loved ") == 3
    assert "Next:" in text
    code, _, err = shoal_command("recommend", tmp_path / "d" / "model", "--history", "m0001")
    assert code == 0, err
    code, text, _ = shoal_command("demo", "--to", tmp_path / "d", "--json")
    found = json.loads(text)
    ranks = [m["model"] for m in found["comparison"]["models"]]
    assert ranks[-1] == "popularity"
    assert ranks.index("ease") < ranks.index("item-knn")


BAD: list[tuple[list[Any], str]] = [
    (["train", "none.csv", "--out", "m"], "none.csv: no such file"),
    (["train", "RATINGS", "--model", "eas", "--out", "m"], "Did you mean ease"),
    (["train", "RATINGS", "--set", "l2=-1", "--out", "m"], "l2"),
    (["train", "RATINGS", "--set", "lambda=1", "--out", "m"], "no hyper-parameter 'lambda'"),
    (["train", "RATINGS", "--set", "l2", "--out", "m"], "name=value"),
    (["train", "RATINGS", "--columns", "item=film", "--out", "m"], "no column 'film'"),
    (["train", "RATINGS", "--memory", "lots", "--out", "m"], "8GB"),
    (["train", "RATINGS", "--memory", "4kB", "--out", "m"], "a model that fits: popularity"),
    (["train", "RATINGS", "--min-value", "9", "--out", "m"], "no interaction is left"),
    (["train", "RATINGS", "--values", "some", "--out", "m"], "binary, keep"),
    (["train", "RATINGS", "--threads", "0", "--out", "m"], "threads"),
    (["evaluate"], "name a log"),
    (["evaluate", "RATINGS", "--train", "x"], "either one log"),
    (["evaluate", "RATINGS", "--split", "odd"], "no split 'odd'"),
    (["evaluate", "RATINGS", "--metrics", "ndcg@0"], "k must be 1"),
    (["evaluate", "RATINGS", "--metrics", "accuracy@5"], "no metric 'accuracy@5'"),
    (["compare", "RATINGS", "--models", "ease,nope"], "no model is called 'nope'"),
    (["compare", "RATINGS", "--models", "ease", "--set", "l2=3"], "MODEL.parameter"),
    (["recommend", "none", "--history", "1"], "no such folder"),
    (["recommend", "MODEL", "--history", "1", "-k", "0"], "k=0"),
    (["recommend", "MODEL", "--history", "1", "-k", "41"], "catalogue of 40"),
    (["recommend", "MODEL", "--history", "x,y"], "none of the 2 items"),
    (["recommend", "MODEL"], "either --history"),
    (["recommend", "MODEL", "--history", "1", "--user", "u001"], "--user goes with --log"),
    (["recommend", "MODEL", "--log", "RATINGS", "--user", "ghost"], "'ghost' is not in the log"),
    (["recommend", "MODEL", "--log", "RATINGS", "--out", "r.xls"], "ends in .parquet or .csv"),
    (["data", "fetch", "ml-2m"], "ml-1m"),
    (["train", "RATINGS", "--seed", "-1", "--out", "m"], "seed=-1"),
    (["train", "RATINGS", "--out", "RATINGS"], "no model folder"),
    (["train", "RATINGS", "--k-core", "-1", "--out", "m"], "--k-core -1"),
    (["train", "RATINGS", "--min-value", "nan", "--out", "m"], "give a number"),
    (["train", "RATINGS", "--device", "abacus", "--out", "m"], "write cpu, cuda"),
    (["evaluate", "RATINGS", "--per-user", "x.txt"], "ends in .parquet or .csv"),
    (["evaluate", "RATINGS", "--per-user", "no/x.csv"], "there is no folder no"),
    (["recommend", "MODEL", "--history", "1", "--out", "r.csv"], "--out goes with --log"),
    (["recommend", "MODEL", "--log", "RATINGS", "--because"], "--because goes with one history"),
    (["similar", "MODEL", "1", "-k", "99"], "catalogue of 40"),
    (["demo", "--to", "RATINGS"], "ratings.csv"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(map(str, a)) for a, _ in BAD])
@pytest.mark.parametrize("as_json", [False, True])
def test_bad_input_is_one_line_that_names_the_way_out(
    model: Path,
    ratings: Path,
    shoal_command: Shoal,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[Any],
    message: str,
    as_json: bool,
) -> None:
    monkeypatch.chdir(ratings.parent)
    given = [{"RATINGS": ratings, "MODEL": model}.get(a, a) for a in arguments]
    code, out, err = shoal_command(*given, *(["--json"] if as_json else []))
    assert code == 2
    text = json.loads(out)["error"] if as_json else err
    assert message in text
    assert "Traceback" not in out + err
    assert not Path("m").exists()


def test_help_is_quick_to_import_and_names_every_command() -> None:
    """`shoal --help` must not import the numerics."""
    script = (
        "import sys; sys.argv = ['shoal', '--help']\n"
        "from shoal.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numba', 'numpy', 'scipy', 'polars', 'torch', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for command in ("demo", "train", "evaluate", "recommend", "compare", "similar", "data", "info"):
        assert command in done.stdout


def test_version(shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("--version")
    assert code == 0
    assert text.startswith("shoal 0.")


def test_interrupt_exits_with_130_and_leaves_nothing(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal import artifact

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artifact, "_put_in_place", interrupted)
    before = sorted(p.name for p in ratings.parent.iterdir())
    code, _, _ = shoal_command("train", ratings, "--out", ratings.parent / "m")
    assert code == 130
    assert sorted(p.name for p in ratings.parent.iterdir()) == before
