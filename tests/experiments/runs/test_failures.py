"""What fails in a run is told, and costs nothing else that was found."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import figures, only_run


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
