"""A publisher that is killed at any moment; benchmarks/serving/kills.py kills many more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import shoal
from shoal.artifact import Store

KILLS = 30
PROGRAM = Path(__file__).parents[2] / "benchmarks" / "serving" / "kills.py"


def killed(how: str, folder: Path, n_kills: int) -> dict[str, int]:
    command = [sys.executable, str(PROGRAM), "kill", how, str(folder), "--kills", str(n_kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


def test_a_store_is_whole_whenever_its_publisher_is_killed(tmp_path: Path) -> None:
    counts = killed("store", tmp_path, KILLS)
    assert counts["within"] >= KILLS / 3, "few kills hit a publication: the test proves little"
    assert counts["unfinished"] >= KILLS / 6
    assert (counts["corrupt"], counts["lost"]) == (0, 0)
    store = Store(tmp_path / "store")
    assert store.load().name == "ease"
    store.publish(shoal.load(tmp_path / "model-0"))
    assert not list(store.path.glob(".*.new"))
    # the same kills corrupt what is written in place
    assert killed("plain", tmp_path, KILLS)["corrupt"] > 0
