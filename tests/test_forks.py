"""Forked workers answer, or say what to do instead; they do not wait for threads they lack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import shoal

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PROGRAM = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")  # polars warns of every fork
import polars as pl
import shoal

folder, use, work = sys.argv[1:]
model = shoal.load(folder)
history = model.items.take([0, 1])
expected = None
if use == "use":
    expected = shoal.recommend(model, history, 3).items
    shoal.recommend(model, history, 3, filter="item > 3")
    shoal.recommend_all(model, shoal.read(pl.DataFrame({"user": [1, 2], "item": history})), 3)
    shoal.EASE().fit(shoal.read(pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 2, 3]})))
log = shoal.read(pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 2, 3, 1]}))
steps = {
    "recommend": lambda: shoal.recommend(model, history, 3).items,
    "because": lambda: shoal.recommend(model, history, 3, because=True).items,
    "similar": lambda: shoal.similar(model, history[0], 3).items,
    "filter": lambda: shoal.recommend(model, history, 3, filter="item > 3").items,
    "diversity": lambda: shoal.recommend(model, history, 3, diversity=0.5).items,
    "another filter": lambda: shoal.recommend(model, history, 3, filter="item > 4").items,
    "fit": lambda: shoal.EASE().fit(log).n_items,
    "load": lambda: shoal.load(folder).name,
    "read": lambda: len(shoal.read(pl.DataFrame({"user": [1, 2], "item": [1, 2]}))),
    "save": lambda: shoal.save(model, folder + "-copy"),
    "recommend_all": lambda: shoal.recommend_all(model, log, 3).height,
}
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that waits for ever is ended by this signal
    try:
        answer = steps[work]()
        print("answer", answer, flush=True)
        code = int(expected is not None and work == "recommend" and answer != expected)
    except shoal.ShoalError as error:
        print("error", error, flush=True)
        code = 7
    os._exit(code)
status = os.waitpid(child, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 100 + os.WTERMSIG(status))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forks") / "model"
    pairs = [(user, item) for user in range(60) for item in range(12) if (user * item) % 5 < 2]
    log = shoal.read(pl.DataFrame(pairs, schema=["user", "item"], orient="row"))
    return shoal.save(shoal.EASE(l2=5.0).fit(log), path)


def forked(folder: Path, use: str, work: str) -> tuple[int, str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), use, work]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("use", ["load", "use"])
@pytest.mark.parametrize("work", ["recommend", "because", "similar", "diversity", "fit"])
def test_a_forked_worker_answers(folder: Path, use: str, work: str) -> None:
    code, text = forked(folder, use, work)
    assert code == 0, text
    assert text.startswith("answer")


def test_a_forked_worker_takes_filters_that_were_asked_for_before_the_fork(folder: Path) -> None:
    code, text = forked(folder, "use", "filter")
    assert code == 0, text
    code, text = forked(folder, "use", "another filter")
    assert code == 7, text
    assert "a filter that has not been asked for before does not work in this process" in text


@pytest.mark.parametrize("work", ["load", "read", "save", "recommend_all", "filter"])
def test_what_a_forked_worker_cannot_do_says_what_to_do(folder: Path, work: str) -> None:
    code, text = forked(folder, "load", work)
    assert code == 7, text
    assert "spawn" in text
    assert "load the model in each worker" in text
