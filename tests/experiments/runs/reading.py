"""What tests read of the folder of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def only_run(parent: Path = Path("runs")) -> Path:
    """The one run of a folder."""
    (found,) = sorted(parent.iterdir())
    return found


def figures(folder: Path) -> dict[tuple[str, str], Any]:
    """All metrics of all models, with all their digits."""
    results = json.loads((folder / "results.json").read_text())
    return {
        (comparison["data"]["name"], model["label"]): model["metrics"]
        for comparison in results["comparisons"]
        for model in comparison["models"]
    }
