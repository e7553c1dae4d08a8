"""Rating models on the command line: train, evaluate, predict, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal

Shoal = Callable[..., tuple[int, str, str]]
FAST = ("--set", "factors=4,n_epochs=20,l2=0.1")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:02}", i, int(rng.integers(1, 6)), 1000 * u + int(rng.integers(0, 999)))
        for u in range(40)
        for i in rng.choice(20, 10, replace=False)
    ]
    frame = pl.DataFrame(rows, schema=["user", "item", "rating", "timestamp"], orient="row")
    frame.write_csv(tmp_path / "ratings.csv")
    titles = {"item": [*range(20)], "title": [f"Film {i}" for i in range(20)]}
    pl.DataFrame(titles).write_csv(tmp_path / "films.csv")
    return tmp_path / "ratings.csv"


@pytest.fixture
def model(log: Path, shoal_command: Shoal) -> Path:
    folder = log.parent / "model"
    code, text, err = shoal_command(
        *("train", log, "--items", log.parent / "films.csv", "--model", "i-autorec", *FAST),
        *("--out", folder),
    )
    assert code == 0, err
    assert f"next: shoal predict {folder} --user u00 --items 0,1" in text
    return folder


def test_predict_answers_in_the_user_s_own_ids(model: Path, shoal_command: Shoal) -> None:
    code, text, err = shoal_command("predict", model, "--user", "u07", "--items", "3,11", "--json")
    assert code == 0, err
    answer = json.loads(text)
    assert answer["user"] == "u07"
    assert answer["range"] == [1, 5]
    assert [row["id"] for row in answer["items"]] == [3, 11]
    expected = shoal.predict(shoal.load(model), "u07", [3, 11]).ratings
    assert [row["rating"] for row in answer["items"]] == pytest.approx(expected)
    code, text, _ = shoal_command("predict", model, "--user", "u07", "--items", "3,11")
    assert code == 0
    assert [line.split("  ")[1] for line in text.splitlines()] == ["Film 3 [3]", "Film 11 [11]"]


@pytest.mark.parametrize(
    ("arguments", "protocol"),
    [
        ((), "random 10% of the ratings, seed 0"),
        (("--split", "user", "--test-size", 0.2), "20% of each user's ratings, seed 0"),
        (("--split", "time", "--validation-size", 0), "latest 10% of each user's ratings"),
    ],
)
def test_evaluate_measures_ratings(
    log: Path, shoal_command: Shoal, arguments: tuple[Any, ...], protocol: str
) -> None:
    command = ("evaluate", log, "--model", "i-autorec", *FAST, *arguments)
    code, text, err = shoal_command(*command, "--json")
    assert code == 0, err
    found = json.loads(text)
    assert found["protocol"] == protocol
    assert set(found["metrics"]) == {"rmse", "mae", "rmse_per_user"} == set(found["definitions"])
    assert 0 < found["metrics"]["mae"]["mean"] < found["metrics"]["rmse"]["mean"] < 4
    code, text, _ = shoal_command(*command)
    assert code == 0
    assert f"{found['metrics']['rmse']['mean']:.4f}" in text
    assert "cold user" in text


def test_given_files_and_values_per_user(log: Path, shoal_command: Shoal) -> None:
    frame = pl.read_csv(log)
    last = pl.int_range(pl.len()).over("user") < 2
    train, test = log.with_name("train.csv"), log.with_name("test.csv")
    frame.filter(~last).write_csv(train)
    frame.filter(last).write_csv(test)
    table = log.with_name("users.csv")
    code, text, err = shoal_command(
        *("evaluate", "--train", train, "--test", test, "--model", "u-autorec", *FAST),
        *("--json", "--per-user", table),
    )
    assert code == 0, err
    found = json.loads(text)
    assert found["ratings"] == 80
    mean = pl.read_csv(table)["rmse_per_user"].mean()
    assert mean == pytest.approx(found["metrics"]["rmse_per_user"]["mean"])


def test_train_chooses_its_epochs_and_keeps_its_evaluation(log: Path, shoal_command: Shoal) -> None:
    out = log.parent / "m"
    code, text, err = shoal_command(
        *(
            "train",
            log,
            "--model",
            "u-autorec",
            "--set",
            "factors=40,l2=0.001,lr=0.01",
            "--evaluate",
        ),
        *("--out", out),
    )
    assert code == 0, err
    assert "rmse_per_user" in text
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["parameters"]["n_epochs"] < 150
    assert set(manifest["metrics"]["metrics"]) == {"rmse", "mae", "rmse_per_user"}
    code, text, _ = shoal_command("info", out)
    assert code == 0
    assert "rmse" in text
    code, text, _ = shoal_command(
        *(
            "train",
            log,
            "--model",
            "u-autorec",
            "--set",
            "factors=40,l2=0.001,lr=0.01",
            "--out",
            out,
        )
    )
    assert code == 0
    assert "chosen on a tenth of the ratings" in text


BAD: list[tuple[list[str], str]] = [
    (["predict", "MODEL", "--user", "ghost", "--items", "1"], "user 'ghost' is not among the 40"),
    (["predict", "MODEL", "--user", "u01", "--items", "1,99"], "'99'"),
    (["predict", "MODEL", "--user", "u01", "--items", ","], "no item was asked for"),
    (["recommend", "MODEL", "--history", "1,2"], "not for histories"),
    (["evaluate", "LOG", "--model", "i-autorec", "--split", "weak"], "random, user, time"),
    (["evaluate", "LOG", "--model", "i-autorec", "--metrics", "ndcg@5"], "RMSE and MAE"),
    (["evaluate", "LOG", "--model", "i-autorec", "--protocol", "mult-vae"], "models that rank"),
    (["evaluate", "IMPLICIT", "--model", "deeprec"], "no value column"),
    (["train", "IMPLICIT", "--model", "u-autorec", "--out", "m"], "no value column"),
    (["train", "LOG", "--model", "deeprec", "--set", "hidden=a", "--out", "m"], "hidden='a'"),
    (["compare", "LOG", "--models", "ease,i-autorec"], "i-autorec cannot be compared by rankings"),
    (["tune", "LOG", "--model", "i-autorec"], "tuning is by metrics of rankings"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_line_that_names_the_way_out(
    model: Path,
    log: Path,
    shoal_command: Shoal,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(log.parent)
    pl.read_csv(log).select("user", "item").write_csv("implicit.csv")
    names: dict[str, Any] = {"LOG": log, "MODEL": model, "IMPLICIT": "implicit.csv"}
    code, _, err = shoal_command(*[names.get(a, a) for a in arguments])
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not Path("m").exists()
