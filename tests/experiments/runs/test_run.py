"""A run does what its file says, and writes down what it found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

import shoal
from shoal.models.registry import create
from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import figures, only_run


def by_hand(log: Path, seed: int, l2: float) -> float:
    """What the file asks for, with the functions that a person would call."""
    run = shoal.Run(seed=seed, threads=1)
    parts = shoal.split(shoal.read(log), "strong", seed=seed)
    model = create("ease", {"l2": l2}).fit(parts.train, parts.validation, run)
    return shoal.evaluate(model, parts.test, ["ndcg@10"], run)["ndcg@10"]


def test_figures_are_those_of_a_fit_by_hand(
    experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    code, out, err = shoal_command("run", experiment())
    assert code == 0, err
    assert "ease" in out
    found = figures(only_run())["log", "ease"]["ndcg@10"]
    assert found["by_seed"] == pytest.approx([by_hand(log, 0, 10), by_hand(log, 1, 10)])


def test_the_folder_holds_what_the_run_found(experiment: Written, shoal_command: Shoal) -> None:
    models = ["popularity", "ease", {"model": "elsa", "set": {"factors": 4, "n_epochs": 2}}]
    tuning = {"trials": 2, "metric": "ndcg@10", "sampler": "random"}
    path = experiment(models=models, tuning=tuning)
    code, _, err = shoal_command("run", path)
    assert code == 0, err
    folder = only_run()
    about = json.loads((folder / "run.json").read_text())
    assert (about["status"], about["cells"]) == ("complete", 6)
    values = pl.read_parquet(folder / "per_user.parquet")
    assert set(values.columns) == {
        "data",
        "seed",
        "model",
        "user",
        "history",
        "ndcg@10",
        "recall@5",
    }
    means = values.filter(model="ease", seed=1)["recall@5"].mean()
    assert means == pytest.approx(figures(folder)["log", "ease"]["recall@5"]["by_seed"][1])
    trials = [json.loads(row) for row in (folder / "trials.jsonl").read_text().splitlines()]
    assert {row["model"] for row in trials} == {"ease", "elsa"}  # popularity has no ranges
    assert sum(row["model"] == "ease" for row in trials) >= 2
    curve = [json.loads(row) for row in (folder / "curves.jsonl").read_text().splitlines()]
    assert [(row["model"], row["seed"], row["epoch"]) for row in curve] == [
        ("elsa", seed, epoch) for seed in (0, 1) for epoch in (1, 2)
    ]
    assert not (folder / "checkpoints").exists()
    best = json.loads((folder / "results.json").read_text())["comparisons"][0]["models"][0]
    assert [path.name for path in (folder / "models" / "log").iterdir()] == [best["label"]]
    assert shoal.load(folder / "models" / "log" / best["label"]).model_dump() == best["settings"]


def test_tuning_each_seed_costs_what_all_searches_cost(
    experiment: Written, shoal_command: Shoal
) -> None:
    tuning = {"trials": 2, "metric": "ndcg@10", "sampler": "random", "each_seed": True}
    code, _, err = shoal_command("run", experiment(models=["item-knn"], tuning=tuning))
    assert code == 0, err
    folder = only_run()
    searches = [json.loads(path.read_text()) for path in (folder / "searches").glob("*.json")]
    assert {content["seed"] for content in searches} == {0, 1}
    model = json.loads((folder / "results.json").read_text())["comparisons"][0]["models"][0]
    assert model["trials"] == sum(len(content["searched"]["trials"]) for content in searches) == 4
    seconds = sum(content["searched"]["seconds"] for content in searches)
    assert model["tune_seconds"] == pytest.approx(seconds, abs=0.002)


def test_models_that_share_inverses_are_searched_together(
    experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment(models=["edlae", "rdlae"], tuning={"trials": 3, "metric": "ndcg@10"})
    assert shoal_command("run", path)[0] == 0
    rows = [json.loads(row) for row in (only_run() / "trials.jsonl").read_text().splitlines()]
    best = {
        model: max(row["score"] for row in rows if row["model"] == model)
        for model in ("edlae", "rdlae")
    }
    assert best["rdlae"] >= best["edlae"]  # edlae's best setting is among the trials of rdlae


def test_tuning_without_optuna_is_refused_before_a_folder_is_made(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, out, err = shoal_command("run", experiment(tuning={"trials": 2, "metric": "ndcg@10"}))
    assert code == 2
    assert "writing to" not in out
    assert "needs optuna: pip install" in err
    assert "sampler: random" in err
    assert not Path("runs").exists()
    fixed = [{"model": "ease", "tune": False}]
    code, _, err = shoal_command("run", experiment(models=fixed, tuning={"trials": 2}))
    assert code == 0, err  # and no metric is asked for by a tuning that nobody needs
    wide = [{"model": "elsa", "set": {"factors": {"min": 32, "max": 64}, "n_epochs": 1}}]
    path = experiment(models=wide, tuning={"trials": 2, "metric": "ndcg@10"})
    code, _, err = shoal_command("run", path, "--quick")
    assert code == 0, err  # what is searched was made small, and has one value now


def test_quick_takes_one_seed_two_trials_and_two_epochs(
    experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment(
        models=[{"model": "elsa", "set": {"factors": 4, "n_epochs": 50}}],
        tuning={"trials": 9, "metric": "ndcg@10", "sampler": "random"},
        published=[{"model": "elsa", "metric": "ndcg@10", "value": 0.4}],
    )
    code, out, err = shoal_command("run", path, "--quick")
    assert code == 0, err
    assert "say nothing of the models: there is no verdict" in " ".join(out.split())
    assert "Ship" not in out
    assert "published figures beside ours" not in out
    folder = only_run()
    verdict = json.loads((folder / "results.json").read_text())["comparisons"][0]["verdict"]
    assert (verdict["best"], verdict["ship"], verdict["depth"]["asked"]) == (None, None, False)
    assert len((folder / "trials.jsonl").read_text().splitlines()) == 2
    assert len((folder / "curves.jsonl").read_text().splitlines()) == 2


def test_json_is_the_results(experiment: Written, shoal_command: Shoal) -> None:
    code, out, err = shoal_command("run", experiment(), "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["status"] == "complete"
    assert (
        told["comparisons"] == json.loads((only_run() / "results.json").read_text())["comparisons"]
    )


def test_data_elsewhere_are_named_on_the_command_line(
    experiment: Written, log: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    path = experiment(data={"name": "books", "file": "nowhere.csv"})
    assert shoal_command("run", path)[0] == 2
    code, _, err = shoal_command("run", path, "--data", f"books={log}")
    assert code == 0, err
    assert ("books", "ease") in figures(only_run())


def test_data_sets_with_ids_of_different_kinds(
    experiment: Written, log: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    numbers = pl.read_csv(log).with_columns(pl.col("user").str.slice(1).cast(pl.Int64))
    numbers.write_csv(tmp_path / "numbers.csv")
    path = experiment(data=[{"file": log.name}, {"file": "numbers.csv"}], models=["ease"])
    code, out, err = shoal_command("run", path, "--json")
    assert code == 0, err
    comparisons = json.loads(out)["comparisons"]
    assert [comparison["data"]["name"] for comparison in comparisons] == ["log", "numbers"]
    assert {model["label"] for c in comparisons for model in c["models"]} == {"ease"}
    values = pl.read_parquet(only_run() / "per_user.parquet")
    assert values.schema["user"] == pl.String
    for name, comparison in zip(("log", "numbers"), comparisons, strict=True):
        by_user = values.filter(data=name).group_by("user").agg(pl.col("ndcg@10").mean())
        ours = comparison["models"][0]["metrics"]["ndcg@10"]["mean"]
        assert by_user["ndcg@10"].mean() == pytest.approx(ours)


def test_a_policy_file_is_run_on_a_log(
    experiment: Written, log: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    experiment()
    policies = "policy_configs: {scoring_policy: {policy_type: ease, l2: 10}}"
    (tmp_path / "hosted.yaml").write_text(policies)
    wide = pl.concat([pl.read_csv(log)] * 3)  # 120 items, so that there are lists of 100
    shifted = wide.with_columns(pl.col("item") + 40 * (pl.int_range(pl.len()) // 720))
    shifted.write_csv(tmp_path / "wide.csv")
    code, _, err = shoal_command("run", "hosted.yaml")
    assert code == 2
    assert "--data LOG" in err
    code, _, err = shoal_command("run", "hosted.yaml", "--data", "wide.csv")
    assert code == 0, err
    assert ("wide", "ease") in figures(only_run())
