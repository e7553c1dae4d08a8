"""Processes that are killed while they store events lose none that was acknowledged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "serving" / "kill_events.py"
KILLS, CONTROLS = 20, 6  # the long version: benchmarks/serving/kill_events.py --kills 300


def kill(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), *arguments],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_every_acknowledged_event_survives_the_kill_of_its_process() -> None:
    code, found = kill("--kills", str(KILLS))
    assert found["in_the_middle"] >= KILLS // 2, found
    assert found["acknowledged"] >= KILLS, found
    wrong = {name: found[name] for name in ("lost", "halves", "never_sent", "damaged")}
    assert wrong == {"lost": 0, "halves": 0, "never_sent": 0, "damaged": 0}
    assert code == 0


def test_events_that_are_acknowledged_too_early_are_missed() -> None:
    """The negative control: the check sees what a queue in memory loses."""
    for _ in range(3):  # by chance, a moment of the kills has nothing in the queue
        code, found = kill("--kills", str(CONTROLS), "--control")
        if found["lost"]:
            break
    assert found["lost"] > 0
    assert code == 1
