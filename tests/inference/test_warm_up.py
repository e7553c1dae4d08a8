"""After `warm_up`, no answer compiles anything, in a process that had compiled nothing before."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import shoal
from shoal.inference import warm_up
from shoal.models.ease import EASE
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.toys import two_groups

# counts what numba has compiled or loaded from disk, before and after all kinds of requests
PROGRAM = """
import gc, sys
import numpy as np
import shoal
from numba.core.dispatcher import Dispatcher
from shoal.inference import warm_up

def compiled():
    return {d.py_func.__name__: len(d.overloads) for d in gc.get_objects()
            if isinstance(d, Dispatcher) and d.overloads}

model = shoal.load(sys.argv[1])
assert not compiled()
warm_up(model, shoal.Run(threads=int(sys.argv[2])))
before = compiled()
assert before
run = shoal.Run(threads=int(sys.argv[2]))
ids = model.items.take(range(model.n_items))
for history in (ids[:1], ids[2:9], dict.fromkeys(ids[3:8], 2.0), [], ["nobody knows it"]):
    for k in (1, 5, len(ids)):
        shoal.recommend(model, history, k, run=run)
        shoal.recommend(model, history, k, exclude=ids[:3], exclude_seen=False, run=run)
        shoal.recommend(model, history, k, only=ids[4:], seen=ids[5:7], run=run)
    shoal.rank(model, history, ids[::2], run=run)
    shoal.recommend(model, history, 4, filter="size > 3", boost={"size > 9": 1.5}, run=run)
    if model.personal:
        shoal.complement(model, history or ids[:2], 4, run=run)
        shoal.recommend(model, history, 4, diversity=0.3, run=run)
if model.explains:
    shoal.recommend(model, ids[:5], 5, because=True, run=run)
if model.personal:
    shoal.explain(model, ids[:5], ids[7])
    shoal.similar(model, ids[1], 5, run=run)
if hasattr(model, "weights"):
    shoal.dissimilar(model, ids[1], 5, run=run)
assert compiled() == before, (before, compiled())
"""

FITTED = [
    shoal.EASE(l2=3.0),
    shoal.ItemKNN(),
    shoal.ELSA(factors=4, n_epochs=1),
    shoal.Popularity(),
    shoal.MultVAE(hidden=8, factors=4, n_epochs=1),
]


def saved(model: shoal.Recommender, folder: Path) -> Path:
    """The folder of a model that is fitted to items with an attribute."""
    log = from_dense(two_groups())
    sizes = pl.DataFrame({"item": log.items.series, "size": range(log.n_items)})
    return shoal.save(model.fit(replace(log, item_table=sizes)), folder)


@pytest.mark.parametrize("model", FITTED, ids=lambda model: model.name)
def test_nothing_is_compiled_after_it(model: shoal.Recommender, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(saved(model, tmp_path / "model")), "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_count_sees_what_is_compiled(tmp_path: Path) -> None:
    """The program above fails if nothing is warmed up."""
    folder = saved(EASE(l2=3.0), tmp_path / "model")
    program = PROGRAM.replace("warm_up(model,", "str(model), (").replace("assert before", "")
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "AssertionError" in done.stderr


def test_it_changes_no_answer() -> None:
    model = EASE(l2=3.0).fit(from_dense(two_groups()))
    run = Run(threads=1)
    before = shoal.recommend(model, [100, 102], 5, because=True, run=run)
    warm_up(model)
    assert shoal.recommend(model, [100, 102], 5, because=True, run=run) == before
