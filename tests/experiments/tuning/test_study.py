"""Studies in a file: killed and resumed, shared by processes, and refused where they differ."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from shoal.base.ranges import Choices, Range
from shoal.errors import DataError
from shoal.experiments.tuning import Budget, Searched, search
from shoal.experiments.tuning.jobs import search_in_processes

from .tuning_helpers import ONE, small_split

METRIC = "ndcg@10"


def run_search(file: Path | None, trials: int = 6, **more: Any) -> Searched:
    split = small_split()
    arguments = {"kind": "slim", "budget": Budget(trials), "metric": METRIC, "run": ONE} | more
    return search(train=split.train, validation=split.validation, storage=file, **arguments)


def settings_of(found: Searched) -> list[dict[str, Any]]:
    return [trial.settings for trial in found.trials]


def test_a_study_goes_on_and_proposes_what_it_would_have_proposed(tmp_path: Path) -> None:
    whole = run_search(None)
    part = run_search(tmp_path / "a.sqlite", 2)
    assert settings_of(part) == settings_of(whole)[:2]
    assert run_search(tmp_path / "a.sqlite", 2).trials == part.trials  # nothing more to do
    found = run_search(tmp_path / "a.sqlite")
    assert settings_of(found) == settings_of(whole)
    assert found.trials[:2] == part.trials
    assert found.best == max(found.trials, key=lambda trial: trial.score)


def test_a_search_that_shares_goes_on(tmp_path: Path) -> None:
    whole = run_search(None, 4, kind="rlae")
    run_search(tmp_path / "a.sqlite", 2, kind="rlae")
    found = run_search(tmp_path / "a.sqlite", 4, kind="rlae")
    assert settings_of(found) == settings_of(whole)
    assert Searched.from_dict(found.to_dict()).trials == found.trials


PROGRAM = """
    import sys, time
    from pathlib import Path
    from tests_of_tuning import small_split, ONE
    from shoal.experiments.tuning import Budget, search
    from shoal.experiments.tuning.problem import Problem

    fit = Problem.fit_and_score
    def slow(self, *arguments):
        trial = fit(self, *arguments)
        print("fitted", flush=True)
        if len(sys.argv) > 3:
            time.sleep(60)
        return trial
    Problem.fit_and_score = slow
    split = small_split()
    search("slim", split.train, split.validation, budget=Budget(int(sys.argv[2])),
           metric="ndcg@10", storage=Path(sys.argv[1]), run=ONE)
"""


def program(folder: Path, *arguments: Any) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    (folder / "tests_of_tuning.py").write_text((here / "tuning_helpers.py").read_text())
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM))
    return subprocess.Popen(
        [sys.executable, folder / "program.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"},
    )


def test_what_a_killed_process_had_begun_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    run_search(file, 2)
    process = program(tmp_path, file, 6, "sleep")
    assert process.stdout is not None
    assert process.stdout.readline() == "fitted\n"  # the third trial, which is never told
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with sqlite3.connect(file) as database:
        states = [s for (s,) in database.execute("SELECT state FROM trials ORDER BY number")]
    database.close()
    assert states == ["COMPLETE", "COMPLETE", "RUNNING"]
    found = run_search(file)
    assert len(found.trials) == 6
    assert settings_of(found)[:3] == settings_of(run_search(None, 3))


def test_processes_share_a_study_and_its_budget(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    processes = [program(tmp_path, file, 8) for _ in range(2)]
    fitted = [len((process.communicate())[0].splitlines()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(fitted) == 8
    found = run_search(file, 8)
    assert len(found.trials) == 8
    tried = [tuple(sorted(trial.settings.items())) for trial in found.trials]
    assert len(set(tried)) == 8  # no two processes tried the same
    assert found.trials[0].source == "default"


def test_jobs_are_processes_at_one_study(tmp_path: Path) -> None:
    split = small_split()
    found = search_in_processes(
        2,
        kind="slim",
        train=split.train,
        validation=split.validation,
        budget=Budget(4),
        metric=METRIC,
        storage=tmp_path / "a.sqlite",
        run=ONE,
    )
    assert len(found.trials) == 4
    assert not multiprocessing.active_children()
    with pytest.raises(DataError, match="--storage FILE"):
        search_in_processes(2, kind="slim", train=split.train, validation=split.validation)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"space": {"l1": Range(1, 5)}}, r"space \(l1: 0.1 to 50 log there, 1 to 5 here"),
        ({"metric": "recall@10"}, r"metric \(ndcg@10 there, recall@10 here\)"),
        ({"fixed": {"neighbours": 5}}, r"fixed \(neighbours: 0 there, 5 here\)"),
        ({"kind": "ease"}, r"model \(slim there, ease here\)"),
        ({"sampler": "random"}, r"sampler \(tpe there, random here\)"),
    ],
)
def test_a_study_of_something_else_is_refused(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    file = tmp_path / "a.sqlite"
    run_search(file, 1, study="mine")
    with pytest.raises(DataError, match=told):
        run_search(file, 2, study="mine", **changed)
    run_search(file, 1, study="another", **changed)


def test_a_study_of_other_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    run_search(file, 1)
    other = small_split(seed=6)
    with pytest.raises(DataError, match="data"):
        search("slim", other.train, other.validation, metric=METRIC, storage=file, run=ONE)
    same_log = small_split()
    assert same_log.validation is not None
    with pytest.raises(DataError, match="data"):  # other users are held out
        search("slim", same_log.train, same_log.test, metric=METRIC, storage=file, run=ONE)


def test_files_that_hold_no_study(tmp_path: Path) -> None:
    text = tmp_path / "a.csv"
    text.write_text("user,item\n1,2\n")
    with pytest.raises(DataError, match=r"a\.csv is no SQLite file"):
        run_search(text, 1)
    assert text.read_text() == "user,item\n1,2\n"
    with pytest.raises(DataError, match="is a folder"):
        run_search(tmp_path, 1)
    with pytest.raises(DataError, match="there is no folder"):
        run_search(tmp_path / "none" / "a.sqlite", 1)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE people (name TEXT)")
    database.close()
    before = other.read_bytes()
    with pytest.raises(DataError, match="another program: its tables are people"):
        run_search(other, 1)
    assert other.read_bytes() == before


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_short(tmp_path: Path, share: float) -> None:
    whole = tmp_path / "whole.sqlite"
    run_search(whole, 2)
    content = whole.read_bytes()
    cut = tmp_path / "cut.sqlite"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.sqlite cannot be used as a study"):
        run_search(cut, 3)


def test_minutes_end_a_search_also_one_that_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    began = time.monotonic()
    first = run_search(file, budget=Budget(None, 1 / 60))
    assert time.monotonic() - began < 30
    assert first.trials
    again = run_search(file, budget=Budget(None, first.seconds / 60 / 10))
    assert again.trials == first.trials


def test_choices_of_all_kinds_are_kept(tmp_path: Path) -> None:
    found = run_search(
        tmp_path / "a.sqlite",
        8,
        kind="admm-slim",
        space={"nonnegative": Choices((True, False)), "l1": Choices((8.0, 1.0, 3.0))},
        fixed={"max_iter": 3},
    )
    assert {t.settings["nonnegative"] for t in found.trials} == {True, False}
    assert {t.settings["l1"] for t in found.trials} <= {1.0, 3.0, 8.0}
