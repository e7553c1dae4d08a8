"""``shoal compare``: ranks, refuses, concludes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from shoal.cli import progress
from shoal.cli.comparison_files import write_results
from shoal.experiments.comparison.conclude import conclude
from shoal.models.registry import by_name
from tests.experiments.comparison.invented import cell

Shoal = Callable[..., tuple[int, str, str]]


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
    assert found["verdict"]["best"] == best["label"]
    assert f"{best['label']} is best by ndcg@10" in found["verdict"]["text"]
    assert "no deep model was compared" in found["verdict"]["depth"]["text"]
    assert all({"fit_seconds", "model_bytes"} <= set(m) for m in found["models"])
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "fast", "--metrics", "ndcg@10", "--tune", 2),
    )
    assert code == 0
    assert "is best by ndcg@10" in text
    assert "rdlae" in text
    assert "mult-vae" not in text
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,mrf", "--metrics", "ndcg@10"),
        *("--memory", "1100kB", "--json"),  # MRF takes more for each thread
    )
    assert code == 0
    assert "mrf" in json.loads(text)["refused"]


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_keeps_what_is_finished(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(by_name("ease"), "fit", interrupted)
    code, text, err = shoal_command(
        *("compare", ratings, "--models", "popularity,item-knn,ease,lae", "--metrics", "ndcg@10"),
        *(["--json"] if as_json else []),
    )
    assert code == 130
    assert "interrupted: not finished: ease, lae" in err
    if as_json:
        assert {m["model"] for m in json.loads(text)["models"]} == {"popularity", "item-knn"}
    else:
        assert "popularity" in text
        assert "is best by ndcg@10" in text


def test_a_piped_run_says_what_is_finished(ratings: Path, shoal_command: Shoal) -> None:
    _, text, err = shoal_command(
        *("compare", ratings, "--models", "popularity,item-knn", "--metrics", "ndcg@10")
    )
    assert "popularity: ndcg@10 " in err
    assert "(2 of 2)" in err
    assert "…" not in text


def test_lines_of_progress_come_at_intervals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.WrittenProgress()
    with lines.step("training", 100) as step:
        for _ in range(100):
            now[0] += 1
            step.advance()
            step.note("loss 1")
    printed = capsys.readouterr().err.splitlines()
    assert printed[0].startswith("training, 5 %")
    assert 4 <= len(printed) <= 8  # 5, then 7.5, 11.25, … seconds apart


def test_a_training_log_names_its_models_and_each_keeps_its_own_checkpoint(
    ratings: Path, shoal_command: Shoal
) -> None:
    pytest.importorskip("torch")
    log, kept = ratings.parent / "curve.jsonl", ratings.parent / "kept"
    code, text, err = shoal_command(
        *("compare", ratings, "--models", "popularity,elsa,mult-dae", "--metrics", "ndcg@10"),
        *("--set", "elsa.n_epochs=2,elsa.factors=4,mult-dae.n_epochs=2,mult-dae.factors=8"),
        *("--training-log", log, "--checkpoint", kept, "--json"),
    )
    assert code == 0, err
    assert json.loads(text)["refused"] == {}
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["model"], row["epoch"]) for row in rows] == [
        *(("elsa", 1), ("elsa", 2)),
        *(("mult-dae", 1), ("mult-dae", 2)),
    ]
    assert {path.name for path in kept.iterdir()} == {"elsa", "mult-dae"}


# -- seeds, policies and files --------------------------------------------------------------

THREE = ("--models", "popularity,item-knn,ease", "--metrics", "ndcg@10,recall@5:tail")


def test_results_are_written_in_each_form(ratings: Path, shoal_command: Shoal) -> None:
    folder = ratings.parent
    for ending in ("json", "csv", "tex", "html"):
        out, each = folder / f"results.{ending}", folder / f"each-{ending}.parquet"
        # what shoal made is replaced without --overwrite
        for asked in (("--models", "popularity,ease", *THREE[2:]), (*THREE, "--seeds", 2)):
            code, text, err = shoal_command(
                *("compare", ratings, *asked, "--json"),
                *("--out", out, "--per-user", each),
            )
            assert code == 0, err
    printed = json.loads(text)
    assert printed["seeds"] == [0, 1]
    results = json.loads((folder / "results.json").read_text())
    (comparison,) = results["comparisons"]
    assert (results["format"], results["name"]) == (1, ratings.stem)
    means = {m["label"]: m["metrics"]["ndcg@10"]["mean"] for m in comparison["models"]}
    assert set(means) == {"popularity", "item-knn", "ease"}
    assert comparison["data"]["users"] > 0

    table = pl.read_csv(folder / "results.csv")
    assert dict(zip(table["label"], table["ndcg@10"], strict=True)) == pytest.approx(means)
    assert table["seeds"].to_list() == [2, 2, 2]
    latex = (folder / "results.tex").read_text()
    assert r"\toprule" in latex
    page = (folder / "results.html").read_text()
    for label, mean in means.items():
        assert f"{mean:.4f}" in latex
        assert f"{mean:.4f}" in page
        assert label in page

    each_user = pl.read_parquet(folder / "each-json.parquet")
    assert each_user.columns == ["seed", "model", "user", "history", "ndcg@10", "recall@5:tail"]
    # the mean over users of the mean over seeds is what the table says
    of_users = each_user.group_by("model", "user").agg(pl.col("ndcg@10").mean())
    again = of_users.group_by("model").agg(pl.col("ndcg@10").mean())
    assert dict(again.iter_rows()) == pytest.approx(means)


@pytest.mark.parametrize("ending", ["json", "html", "csv", "tex"])
def test_numbers_that_are_not_finite_are_null_in_what_is_written(
    tmp_path: Path, ending: str
) -> None:
    curve = ({"epoch": 1.0, "loss": float("nan")},)
    data = {"name": "films", "users": 2, "items": 2, "interactions": 4}
    comparison = conclude([cell("mult-dae", [0.1, 0.3], kind="deep", curve=curve)], data=data)
    out = tmp_path / f"results.{ending}"
    write_results(comparison, out, "films")
    assert "mult-dae" in out.read_text()
    if ending == "json":
        (model,) = json.loads(out.read_text())["comparisons"][0]["models"]
        assert model["curve"] == [{"epoch": 1.0, "loss": None}]


def test_the_printed_tables_fit_80_columns(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.cli.show.width_for_tables", lambda: 80)
    code, text, err = shoal_command(
        "compare", ratings, "--metrics", "ndcg@10,ndcg@10:head,ndcg@10:tail,coverage@10,novelty@10"
    )
    assert code == 0, err
    tables = text[text.index("model") : text.index("is best by")]
    assert "peak memory" in tables
    assert "a request" in tables
    table_lines = [line for line in tables.splitlines() if "±" in line or "MB" in line]
    assert max(map(len, table_lines)) <= 80


def test_policy_files_are_compared_with_names(ratings: Path, shoal_command: Shoal) -> None:
    mine, two = ratings.parent / "mine.yaml", ratings.parent / "two.yaml"
    mine.write_text("policy_configs:\n  scoring_policy: {policy_type: ease, l2: 7}\n")
    two.write_text(
        "training:\n  models:\n"
        "    - {name: strong, policy_type: ease, l2: 900}\n"
        "    - {name: weak, policy_type: lae, l2: 3}\n"
    )
    code, text, err = shoal_command(
        *("compare", ratings, "--models", f"popularity,ease,{mine}", "--policies", two),
        *("--metrics", "ndcg@10", "--json"),
    )
    assert code == 0, err
    found = {m["label"]: m["settings"].get("l2") for m in json.loads(text)["models"]}
    assert found == {"popularity": None, "ease": 500, "ease-2": 7, "strong": 900, "weak": 3}
    assert "note: another model is called ease, too: this one is ease-2 here" in err


def test_policies_alone_are_compared_alone_under_a_name(
    ratings: Path, shoal_command: Shoal
) -> None:
    two, page = ratings.parent / "two.yaml", ratings.parent / "films.html"
    two.write_text(
        "training:\n  models: [{policy_type: ease, l2: 90}, {policy_type: lae, l2: 3}]\n"
    )
    code, text, err = shoal_command(
        *("compare", ratings, "--policies", two, "--metrics", "ndcg@10", "--json"),
        *("--name", "films of 1998", "--out", page),
    )
    assert (code, err) == (0, "")
    told = json.loads(text)
    assert {model["label"] for model in told["models"]} == {"ease", "lae"}
    assert told["data"]["name"] == "films of 1998"
    assert "<title>films of 1998" in page.read_text()


def test_a_range_in_a_policy_is_searched(ratings: Path, shoal_command: Shoal) -> None:
    policy = ratings.parent / "searched.yaml"
    policy.write_text(
        "training:\n  models:\n    - name: knn\n      policy_type: item-knn\n"
        "      k: {type: tunable_int, min: 3, max: 9}\n"
    )
    given = ("compare", ratings, "--models", policy, "--metrics", "ndcg@10")
    code, _, err = shoal_command(*given)
    assert code == 2
    assert "knn gives k as a range, and nothing is tuned: add --tune 20" in err
    code, text, err = shoal_command(*given, "--tune", 4, "--sampler", "random", "--json")
    assert code == 0, err
    (model,) = json.loads(text)["models"]
    assert 3 <= model["settings"]["k"] <= 9
    assert model["trials"] == 4
    assert model["tune_seconds"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seeds", 0), "at least 0 trials and 1 seed"),
        (("--tune", -1), "at least 0 trials and 1 seed"),
        (("--sampler", "tpe"), "--sampler does nothing without --tune N or --minutes M"),
        (("--tune", 2, "--sampler", "guess"), "--sampler guess: write one of tpe, random"),
        (("--minutes", 0), "give a number above 0"),
        (("--out", "results.xlsx"), "ends in .csv, .json, .tex or .html"),
        (("--out", "nowhere/results.csv"), "there is no folder nowhere"),
        (("--per-user", "users.txt"), "ends in .parquet or .csv"),
        (("--out", "same.csv", "--per-user", "same.csv"), "give them different names"),
        (("--overwrite",), "without --out FILE or --per-user FILE"),
        (("--models", ","), "--models names none"),
        (("--policies", "none.yaml"), "none.yaml"),
    ],
)
def test_bad_options_are_refused_before_the_log_is_read(
    ratings: Path,
    shoal_command: Shoal,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    said: str,
) -> None:
    monkeypatch.chdir(ratings.parent)
    code, text, err = shoal_command("compare", ratings, *options)
    assert code == 2
    assert said in err
    assert "users ×" not in text


def test_files_that_shoal_did_not_make_stay(ratings: Path, shoal_command: Shoal) -> None:
    for name in ("mine.json", "mine.tex", "mine.csv", "mine.html"):
        mine = ratings.parent / name
        mine.write_text("my own notes\n")
        code, _, err = shoal_command("compare", ratings, *THREE, "--out", mine)
        assert code == 2
        assert "shoal did not make it" in err
        assert mine.read_text() == "my own notes\n"
    code, _, err = shoal_command("compare", ratings, *THREE, "--out", ratings)
    assert code == 2
    assert "read by this command" in err


def test_an_interrupt_writes_what_is_finished(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(by_name("ease"), "fit", interrupted)
    out, each = ratings.parent / "part.json", ratings.parent / "part.parquet"
    code, _, _ = shoal_command("compare", ratings, *THREE, "--out", out, "--per-user", each)
    assert code == 130
    (comparison,) = json.loads(out.read_text())["comparisons"]
    assert comparison["unfinished"] == ["ease"]
    assert {m["label"] for m in comparison["models"]} == {"popularity", "item-knn"}
    assert set(pl.read_parquet(each)["model"]) == {"popularity", "item-knn"}


def test_a_fixed_split_is_the_same_for_every_seed(ratings: Path, shoal_command: Shoal) -> None:
    frame = pl.read_csv(ratings).with_row_index()
    train, test = ratings.parent / "train.csv", ratings.parent / "test.csv"
    frame.filter(pl.col("index") % 9 < 7).drop("index").write_csv(train)
    frame.filter(pl.col("index") % 9 >= 7).drop("index").write_csv(test)
    code, text, err = shoal_command(
        *("compare", "--train", train, "--test", test, *THREE, "--seeds", 2, "--json")
    )
    assert code == 0, err
    found = json.loads(text)
    for model in found["models"]:
        first, second = model["metrics"]["ndcg@10"]["by_seed"]
        assert first == pytest.approx(second, abs=1e-6)


def test_results_are_printed_where_they_cannot_be_written(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "results.csv")

    monkeypatch.setattr("shoal.cli.compare.write_results", full)
    code, text, err = shoal_command(
        "compare", ratings, *THREE, "--out", ratings.parent / "results.csv"
    )
    assert code == 2
    assert "No space left on device" in err
    assert "is best by ndcg@10" in text
