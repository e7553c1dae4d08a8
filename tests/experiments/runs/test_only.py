"""Some models of a file now, and the others later, perhaps elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import figures, only_run


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
