"""A run does what its file says, and leaves what it found."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.models.registry import create
from tests.experiments.comparison.test_groups import log_of
from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import figures, only_run

TWO = {"weak": 60, "strong": 1000}  # strengths of regularization: either is better with one seed


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


def test_the_folder_names_no_host_and_no_place(
    experiment: Written, tmp_path: Path, shoal_command: Shoal
) -> None:
    tuning = {"trials": 2, "metric": "ndcg@10"}
    assert shoal_command("run", experiment(models=["item-knn"], tuning=tuning, seeds=1))[0] == 0
    folder = only_run()
    shoal_command("runs", "list")
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(tmp_path).encode() not in content, path
            assert f'"{socket.gethostname()}"'.encode() not in content, path


def test_all_models_are_kept_where_asked_and_none_otherwise(
    experiment: Written, shoal_command: Shoal
) -> None:
    for kept, expected in (("all", {"popularity", "ease"}), ("none", set())):
        path = experiment(output={"models": kept, "report": False})
        assert shoal_command("run", path, "--out", kept)[0] == 0
        place = Path(kept) / "models" / "log"
        assert ({p.name for p in place.iterdir()} if place.exists() else set()) == expected


def test_kept_and_shown_are_the_best_models_over_all_seeds(
    experiment: Written, tmp_path: Path, shoal_command: Shoal
) -> None:
    log = log_of()
    users = log.users.take(np.repeat(np.arange(log.n_users), np.diff(log.indptr)))
    items = log.items.take(log.indices)
    pl.DataFrame({"user": list(users), "item": list(items)}).write_csv(tmp_path / "two.csv")
    weak, strong = ({"name": n, "model": "ease", "set": {"l2": x}} for n, x in TWO.items())
    parts = {"data": {"file": "two.csv"}, "split": {"kind": "strong", "test": 0.3}}
    shown = {}
    for seeds in ([2], [2, 0]):
        path = experiment(models=[weak, strong, "popularity"], seeds=seeds, output={}, **parts)
        code, _, err = shoal_command("run", path, "--out", f"of-{len(seeds)}")
        assert code == 0, err
        folder = Path(f"of-{len(seeds)}")
        comparison = json.loads((folder / "results.json").read_text())["comparisons"][0]
        best = comparison["models"][0]["label"]
        assert [p.name for p in (folder / "models" / "two").iterdir()] == [best]
        persons = comparison["extras"]["people"]["persons"]
        assert {one["label"] for p in persons for one in p["lists"]} == {best}
        assert comparison["extras"]["map"]["model"] == best
        shown[len(seeds)] = best
    assert shown == {1: "strong", 2: "weak"}
    # what was made of other models than the best ones is made again
    place = folder / "extras" / "two.json"
    made = json.loads(place.read_text())
    place.write_text(json.dumps(made | {"models": ["strong"], "people": None}))
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(about | {"status": "interrupted"}))
    assert shoal_command("run", "--resume", folder)[0] == 0
    assert json.loads(place.read_text()) == made


def test_a_model_that_cannot_be_fitted_is_told_and_the_others_go_on(
    experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    pl.read_csv(log).drop("timestamp").write_csv(log)
    path = experiment(models=[{"model": "svae", "set": {"n_epochs": 1}}, "ease"])
    code, out, err = shoal_command("run", path)
    assert code == 0, err
    assert "svae was left out" in out
    comparison = json.loads((only_run() / "results.json").read_text())["comparisons"][0]
    assert list(comparison["refused"]) == ["svae"]
    assert "time" in comparison["refused"]["svae"]
    assert [model["label"] for model in comparison["models"]] == ["ease"]


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


def test_a_fault_in_one_model_costs_no_other(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.models.popularity import Popularity

    def broken(*_: object) -> None:
        raise RuntimeError("the wheel came off")

    monkeypatch.setattr(Popularity, "_fit", broken)
    code, _, err = shoal_command("run", experiment())
    assert code == 0, err
    comparison = json.loads((only_run() / "results.json").read_text())["comparisons"][0]
    assert "the wheel came off" in comparison["refused"]["popularity"]
    assert "RuntimeError" in next((only_run() / "faults").iterdir()).read_text()
    assert [model["label"] for model in comparison["models"]] == ["ease"]


def test_what_was_refused_is_tried_again_where_the_run_is_continued(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.models.popularity import Popularity

    def broken(*_: object) -> None:
        raise RuntimeError("the wheel came off")

    with monkeypatch.context() as patch:
        patch.setattr(Popularity, "_fit", broken)
        assert shoal_command("run", experiment())[0] == 0
    folder = only_run()
    before = figures(folder)
    assert set(before) == {("log", "ease")}
    code, _, err = shoal_command("run", "--resume", folder)
    assert code == 0, err
    after = figures(folder)
    assert set(after) == {("log", "ease"), ("log", "popularity")}
    assert after["log", "ease"] == before["log", "ease"]
    code, _, err = shoal_command("run", "--resume", folder)
    assert code == 2
    assert "is complete" in err


def test_a_model_that_cannot_be_saved_costs_no_result(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.errors import ArtifactError
    from shoal.experiments.runs import kept_models

    def full(*_: object) -> None:
        raise ArtifactError("the disk is full")

    monkeypatch.setattr(kept_models, "save", full)
    with pytest.warns(UserWarning, match="not kept: the disk is full"):
        code, _, err = shoal_command("run", experiment(seeds=1))
    assert code == 0, err
    assert len(figures(only_run())) == 2


def test_data_elsewhere_are_named_on_the_command_line(
    experiment: Written, log: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    path = experiment(data={"name": "books", "file": "nowhere.csv"})
    assert shoal_command("run", path)[0] == 2
    code, _, err = shoal_command("run", path, "--data", f"books={log}")
    assert code == 0, err
    assert ("books", "ease") in figures(only_run())


def test_json_is_the_results(experiment: Written, shoal_command: Shoal) -> None:
    code, out, err = shoal_command("run", experiment(), "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["status"] == "complete"
    assert (
        told["comparisons"] == json.loads((only_run() / "results.json").read_text())["comparisons"]
    )


def test_a_run_in_which_no_model_could_be_fitted_fails(
    experiment: Written, shoal_command: Shoal
) -> None:
    code, _, err = shoal_command("run", experiment(run={"threads": 1, "memory": "1B"}))
    assert code == 2
    assert "no model could be fitted: popularity on log: popularity on 40 items needs" in err
    assert json.loads((only_run() / "run.json").read_text())["status"] == "failed"
    code, out, _ = shoal_command("runs", "show", only_run())
    assert code == 0
    assert "it ended with: no model could be fitted" in out


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


def test_the_report_is_written_and_written_again(experiment: Written, shoal_command: Shoal) -> None:
    code, _, err = shoal_command("run", experiment(output={"report": True}, seeds=1))
    assert code == 0, err
    folder = only_run()
    names = {"report.html", "report.md", "table.tex", "table.csv"}
    assert names <= {path.name for path in folder.iterdir()}
    for name in names:
        (folder / name).unlink()
    code, out, err = shoal_command("report", folder, "--json")
    assert code == 0, err
    assert {Path(path).name for path in json.loads(out)["files"]} == names
    assert names <= {path.name for path in folder.iterdir()}


def test_a_report_for_others_shows_no_items(experiment: Written, shoal_command: Shoal) -> None:
    assert shoal_command("run", experiment(output={"report": True}, seeds=1))[0] == 0
    folder = only_run()
    assert "People, side by side" in (folder / "report.html").read_text()
    code, _, err = shoal_command("report", folder, "--out", "public", "--without-items")
    assert code == 0, err
    page = Path("public/report.html").read_text()
    assert "People, side by side" not in page
    assert "The item map" not in page
    assert "Leaderboard" in page
    assert "People, side by side" in (folder / "report.html").read_text()  # that of the run stays


def test_a_report_that_cannot_be_written_costs_no_result(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.experiments.runs import finish

    def broken(*_: object) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr(finish, "write_report_of", broken)
    with pytest.warns(UserWarning, match="no ink"):
        code, _, err = shoal_command("run", experiment(output={"report": True}, seeds=1))
    assert code == 0, err
    assert ("log", "ease") in figures(only_run())


def test_some_models_now_and_the_others_later(experiment: Written, shoal_command: Shoal) -> None:
    path = experiment()
    code, out, err = shoal_command("run", path, "--only", "popularity")
    assert code == 0, err
    folder = only_run()
    assert "left for later: ease" in out.splitlines()
    assert f"the rest: shoal run --resume {folder}" in out.splitlines()
    assert "interrupted" not in out
    assert json.loads((folder / "run.json").read_text())["status"] == "partial"
    assert "partial (2 of 4)" in shoal_command("runs", "list")[1]
    assert set(figures(folder)) == {("log", "popularity")}
    assert shoal_command("run", path)[0] == 0
    assert only_run() == folder  # it went on
    assert json.loads((folder / "run.json").read_text())["status"] == "complete"
    found = figures(folder)
    assert set(found) == {("log", "popularity"), ("log", "ease")}
    assert shoal_command("run", path, "--out", "whole")[0] == 0
    assert figures(Path("whole")) == found
    code, _, err = shoal_command("run", path, "--new", "--only", "popularty")
    assert code == 2
    assert "did you mean popularity" in err


def test_where_models_ran_on_different_machines_the_notes_say_so(
    experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment()
    assert shoal_command("run", path, "--only", "popularity")[0] == 0
    folder = only_run()
    for cell in (folder / "cells").glob("*.json"):
        told = json.loads(cell.read_text())
        told["cell"]["hardware"] = "1 thread of an abacus"
        cell.write_text(json.dumps(told))
    assert shoal_command("run", path)[0] == 0
    notes = json.loads((folder / "results.json").read_text())["comparisons"][0]["notes"]
    assert any("popularity on 1 thread of an abacus" in note for note in notes)


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
    code, _, err = shoal_command("run", experiment(tuning={"trials": 2, "metric": "ndcg@10"}))
    assert code == 2
    assert "needs optuna: pip install" in err
    assert "sampler: random" in err
    assert not Path("runs").exists()
    fixed = [{"model": "ease", "tune": False}]
    code, _, err = shoal_command("run", experiment(models=fixed, tuning={"trials": 2}))
    assert code == 0, err  # and no metric is asked for by a tuning that nobody needs


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
