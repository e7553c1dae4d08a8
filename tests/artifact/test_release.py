"""Mapped arrays are given back in pieces: nothing is left in memory, and a late reader is right."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.artifact import load
from shoal.artifact.release import release_pages
from shoal.datasets.synthetic import SyntheticLog
from shoal.run import Run

N_ITEMS = 1_500  # 9 MB of weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = SyntheticLog(2_000, N_ITEMS, 40_000).interactions()
    return shoal.save(shoal.EASE(l2=10).fit(log, run=Run(threads=1)), tmp_path_factory.mktemp("m"))


def mapped_bytes(folder: Path) -> int:
    """Bytes of the mapped file that are in this process's memory."""
    total, counted = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            counted = line.endswith("arrays.safetensors") and str(folder) in line
        elif counted and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_leave_the_memory_and_come_back_as_they_were(folder: Path) -> None:
    model = load(folder, mapped=True)
    history = model.items.take(np.arange(5))
    before = shoal.recommend(model, history, 10)
    assert mapped_bytes(folder) >= 4 * N_ITEMS**2
    release_pages(model)
    assert mapped_bytes(folder) == 0
    after = shoal.recommend(model, history, 10)
    assert list(after) == list(before)


def test_a_model_that_is_not_mapped_is_left_alone(folder: Path) -> None:
    model = load(folder)
    history = model.items.take(np.arange(5))
    before = shoal.recommend(model, history, 10)
    release_pages(model)
    assert list(shoal.recommend(model, history, 10)) == list(before)
