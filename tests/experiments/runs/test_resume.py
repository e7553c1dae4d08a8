"""A run loses nothing: kills, interrupts, damaged files; and it goes on only where it may."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shoal.artifact.locks import locked
from shoal.experiments.comparison.measure import measure
from shoal.experiments.runs import data_set, one_cell
from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import figures, only_run

PATIENCE = 120.0  # seconds for a process to come to a point
SLOW = {"model": "elsa", "set": {"factors": 4, "n_epochs": 400}}
MODELS = ["popularity", {"model": "ease", "set": {"l2": 10}}, SLOW]


# A checkpoint after each epoch, not only every 30 seconds. A suite that a script has put in the
# background ignores Ctrl-C, and so would this process, which inherits that: it is set back.
SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from shoal.cli import main
from shoal.experiments.runs import data_set
data_set.CHECKPOINT_PAUSE = 0.0
sys.argv = ["shoal", "run", sys.argv[1]]
main()
"""


def start(path: Path) -> subprocess.Popen[str]:
    """Run an experiment in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )


def end_when(process: subprocess.Popen[str], reached: Callable[[], bool], number: int) -> str:
    """Send a signal once something is reached; gives what the process wrote on stderr."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    return err


def finished(name: str) -> Callable[[], bool]:
    """Whether a cell is on the disk."""
    return lambda: bool(list(Path("runs").glob(f"*/cells/{name}.json")))


def in_training() -> bool:
    """Whether the deep model has finished an epoch, and is not finished itself."""
    return bool(list(Path("runs").glob("*/checkpoints/log--0--elsa/*.safetensors")))


def test_a_run_that_was_killed_in_a_fit_ends_with_the_same_figures(
    experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment(models=MODELS)
    process = start(path)
    end_when(process, in_training, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    folder = only_run()
    assert len(list((folder / "cells").glob("*.json"))) < 6
    before = {
        p.name: p.stat().st_mtime_ns for p in (folder / "cells").iterdir() if p.name[0] != "."
    }
    assert {"log--0--popularity.json", "log--0--ease.json"} <= set(before)
    _, out, _ = shoal_command("runs", "list", "--json")
    assert json.loads(out)[0]["status"] == "killed"
    code, out, err = shoal_command("run", path)
    assert code == 0, err
    assert "going on in" in out
    assert only_run() == folder
    after = {name: (folder / "cells" / name).stat().st_mtime_ns for name in before}
    assert after == before  # nothing is measured twice
    assert shoal_command("run", path, "--new", "--out", "whole")[0] == 0
    assert figures(folder) == figures(Path("whole"))


def test_a_search_that_was_killed_goes_on_and_finds_the_same(
    experiment: Written, shoal_command: Shoal
) -> None:
    pytest.importorskip("optuna")
    path = experiment(
        models=["item-knn", "slim"], tuning={"trials": 12, "metric": "ndcg@10"}, seeds=1
    )

    def half_searched() -> bool:
        return any(trials_of(place) > 3 for place in Path("runs").glob("*/studies/*.sqlite"))

    process = start(path)
    end_when(process, half_searched, signal.SIGKILL)
    folder = only_run()
    assert len(list((folder / "searches").glob("*.json"))) < 2
    code, _, err = shoal_command("run", path)
    assert code == 0, err
    assert only_run() == folder
    assert shoal_command("run", path, "--new", "--out", "whole")[0] == 0
    assert figures(folder) == figures(Path("whole"))
    tried = [(folder / "trials.jsonl").read_text(), Path("whole/trials.jsonl").read_text()]
    scores = [[json.loads(row)["score"] for row in text.splitlines()] for text in tried]
    assert scores[0] == scores[1]


def test_a_search_goes_on_without_its_file_as_with_it(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    path = experiment(models=["rdlae", "ease"], tuning={"trials": 2, "metric": "ndcg@10"}, seeds=1)
    assert shoal_command("run", path, "--out", "whole")[0] == 0

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            data_set, "save_search", interrupted
        )  # the study is there, its outcome is not
        assert shoal_command("run", path, "--out", "part")[0] == 130
    assert not list(Path("part").glob("searches/*"))
    code, _, err = shoal_command("run", "--resume", "part")
    assert code == 0, err
    tried = [
        [(row["model"], row["source"], row["settings"], row["score"]) for row in rows]
        for rows in (
            [json.loads(line) for line in Path(name, "trials.jsonl").read_text().splitlines()]
            for name in ("whole", "part")
        )
    ]
    assert tried[0] == tried[1]
    assert {"special case (ease)", "special case (lae)"} <= {source for _, source, *_ in tried[0]}


def test_ctrl_c_concludes_with_what_is_there_and_says_how_to_go_on(
    experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment(models=MODELS)
    process = start(path)
    err = end_when(process, in_training, signal.SIGINT)
    assert process.returncode == 130
    folder = only_run()
    assert f"--resume {folder}" in err
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    comparison = json.loads((folder / "results.json").read_text())["comparisons"][0]
    assert {model["label"] for model in comparison["models"]} >= {"popularity", "ease"}
    assert "elsa" in comparison["unfinished"]
    code, out, err = shoal_command("run", "--resume", folder, "--json")
    assert code == 0, err
    comparison = json.loads(out)["comparisons"][0]
    assert comparison["unfinished"] == []
    assert len(comparison["models"]) == 3


@pytest.mark.parametrize(
    ("finished", "told"),
    [
        (0, ["No model is finished yet.", "not finished: popularity, ease"]),
        (1, ["not finished with all seeds: popularity (1 done)", "not finished: ease"]),
    ],
)
def test_what_is_not_finished_is_named(
    finished: int,
    told: list[str],
    experiment: Written,
    shoal_command: Shoal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells: list[object] = []

    def interrupted(*arguments: Any) -> Any:
        if len(cells) == finished:
            raise KeyboardInterrupt
        cells.append(arguments)
        return measure(*arguments)

    monkeypatch.setattr(one_cell, "measure", interrupted)
    data = [{"file": "log.csv"}, {"file": "log.csv", "name": "second"}]
    code, out, _ = shoal_command("run", experiment(data=data, output={"report": True}))
    assert code == 130
    for line in (*told, "data not begun: second"):
        assert line in out.splitlines()
    if finished:  # the report says it too
        report = (only_run() / "report.md").read_text()
        assert all(line[1:] in report for line in told)
    else:
        assert "No model could be fitted" not in out


def trials_of(storage: Path) -> int:
    """How many trials a study has finished by now."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{storage}?mode=ro", uri=True)) as opened:
            found = opened.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'")
            return int(found.fetchone()[0])
    except sqlite3.Error:  # its tables are being made
        return 0


@pytest.fixture
def interrupted(experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was interrupted before the last of its four cells."""
    from shoal.experiments.runs import one_cell

    measured = one_cell.measure

    def measure(entrant: object, parts: object, metrics: object, run: object, seed: int) -> object:
        if seed == 1 and entrant.label == "ease":  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return measured(entrant, parts, metrics, run, seed)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(one_cell, "measure", measure)
        code, _, err = shoal_command("run", experiment())
    assert code == 130, err
    return only_run()


def test_a_truncated_cell_is_measured_again(
    interrupted: Path, experiment: Written, shoal_command: Shoal
) -> None:
    whole = figures(interrupted)  # over the seed that both models have
    values = pl.read_parquet(interrupted / "per_user.parquet")
    for name in ("log--0--ease.json", "log--1--popularity.parquet"):
        cell = interrupted / "cells" / name
        cell.write_bytes(cell.read_bytes()[:100])
    with pytest.warns(UserWarning, match="measured again") as told:
        code, _, err = shoal_command("run", experiment())
    assert code == 0, err
    assert len(told) == 2
    found = figures(interrupted)
    for label in ("popularity", "ease"):
        assert found["log", label]["ndcg@10"]["by_seed"][0] == pytest.approx(
            whole["log", label]["ndcg@10"]["by_seed"][0]
        )
    # the second seed's cell was damaged too, and is measured as it was
    before = values.filter(model="popularity", seed=1)["ndcg@10"].mean()
    assert found["log", "popularity"]["ndcg@10"]["by_seed"][1] == pytest.approx(before)


def test_damaged_files_of_a_run_are_named(interrupted: Path, shoal_command: Shoal) -> None:
    about = json.loads((interrupted / "run.json").read_text())
    told = (interrupted / "data.json").read_text()
    for text in ("{", "[]", '{"log": 3}'):
        (interrupted / "data.json").write_text(text)
        for command in (("run", "--resume"), ("runs", "show"), ("report",)):
            code, _, err = shoal_command(*command, interrupted)
            assert code == 2
            assert "data.json is damaged" in err
            assert "remove it" in err
    (interrupted / "data.json").write_text(told)
    for name, value in (("asked", None), ("labels", 3), ("seconds", "x"), ("status", "dead")):
        (interrupted / "run.json").write_text(json.dumps(about | {name: value}))
        for command in (("run", "--resume"), ("runs", "show"), ("report",)):
            code, _, err = shoal_command(*command, interrupted)
            assert code == 2
            assert "run.json is damaged" in err


def test_a_metric_longer_than_the_catalogue_ends_a_run_before_anything_is_fitted(
    experiment: Written, shoal_command: Shoal
) -> None:
    short = {"metrics": ["ndcg@10"]}
    for parts in (
        {"evaluation": {"metrics": ["ndcg@10", "recall@500"]}},
        {"evaluation": short, "tuning": {"trials": 2, "metric": "ndcg@500"}},
    ):
        code, _, err = shoal_command("run", experiment(**parts), "--new")
        assert code == 2
        assert "log: @500 is more than the catalogue" in err
        assert "tuning.metric" in err
        assert not list(Path("runs").glob("*/cells/*"))


def test_a_run_of_another_file_is_refused_and_what_differs_is_told(
    interrupted: Path, experiment: Written, shoal_command: Shoal
) -> None:
    other = experiment(models=["popularity", {"model": "ease", "set": {"l2": 20}}])
    code, _, err = shoal_command("run", other, "--resume", interrupted)
    assert code == 2
    assert "models.ease.set.l2: 10.0 → 20.0" in err
    code, _, err = shoal_command("run", other, "--out", interrupted)
    assert code == 2
    # without a folder, another file has a run of its own
    assert shoal_command("run", other, "--json")[0] == 0
    assert len(list(Path("runs").iterdir())) == 2


def test_what_changes_no_figure_may_change(
    interrupted: Path, experiment: Written, shoal_command: Shoal
) -> None:
    figure = {"model": "ease", "metric": "ndcg@10", "value": 0.5, "source": "a paper"}
    path = experiment(description="said otherwise", published=[figure])
    code, out, err = shoal_command("run", path)
    assert code == 0, err
    assert only_run() == interrupted
    assert "a paper" in out


def test_data_that_have_changed_are_refused(
    interrupted: Path, experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    before = {path.name for path in (interrupted / "cells").iterdir()}
    frame = pl.read_csv(log)
    frame.sample(fraction=1, shuffle=True, seed=1).write_csv(log)  # the same data in another order
    frame.head(len(frame) - 1).write_csv(log)
    code, _, err = shoal_command("run", experiment())
    assert code == 2
    assert "the data log have changed" in err
    assert {path.name for path in (interrupted / "cells").iterdir()} == before
    frame.write_csv(log)
    assert shoal_command("run", experiment())[0] == 0


def test_a_damaged_search_of_a_finished_model_does_not_keep_a_run_from_its_end(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = {"trials": 2, "metric": "ndcg@10", "sampler": "random"}
    path = experiment(models=["ease", "item-knn"], tuning=tuning, seeds=1)

    def interrupted(entrant: Any, *rest: Any) -> Any:
        if entrant.label == "item-knn":
            raise KeyboardInterrupt
        return measure(entrant, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(one_cell, "measure", interrupted)
        assert shoal_command("run", path)[0] == 130
    (only_run() / "searches" / "log--0--ease.json").write_text('{"data": "log", "se')
    with pytest.warns(UserWarning, match="ease.json is damaged"):
        code, _, err = shoal_command("run", path)
    assert code == 0, err
    rows = (only_run() / "trials.jsonl").read_text().splitlines()
    assert {json.loads(row)["model"] for row in rows} == {"item-knn"}


def test_a_folder_in_use_is_refused(
    interrupted: Path, experiment: Written, shoal_command: Shoal
) -> None:
    with locked(interrupted / ".lock", wait=0, purpose="an experiment is run"):
        code, _, err = shoal_command("run", experiment())
        assert code == 2
        assert "is in use" in err
        assert "--new" in err
    assert json.loads((interrupted / "run.json").read_text())["status"] == "interrupted"
    assert shoal_command("run", experiment())[0] == 0


def test_a_complete_run_is_not_run_again_into_the_same_folder(
    experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment()
    assert shoal_command("run", path, "--out", "mine")[0] == 0
    code, _, err = shoal_command("run", path, "--out", "mine")
    assert code == 2
    assert "is complete" in err
    code, _, err = shoal_command("run", "--resume", "elsewhere")
    assert code == 2
    assert "there is no folder elsewhere" in err
