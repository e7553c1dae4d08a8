"""Run the experiment files of the papers, and set published figures beside ours.

    SHOAL_DATA=… python benchmarks/papers/run.py lightgcn-gowalla article-ml-1m
    python benchmarks/papers/run.py --take runs/lightgcn-gowalla-20260101-120000
    python benchmarks/papers/run.py

The first form runs files of `experiments/` by name, each as ``shoal run`` does, in
``.cache/papers/NAME``: a run that ended early goes on. The second takes over a run that is there.
Each adds what came of it to ``results.jsonl``, and writes ``papers.md`` and the table of
``experiments/README.md`` anew, as the third form does alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.harness.data import CACHE  # noqa: E402
from benchmarks.harness.results import Results  # noqa: E402
from benchmarks.papers import page  # noqa: E402

HERE = Path(__file__).resolve().parent
EXPERIMENTS = ROOT / "experiments"
RESULTS = Results(HERE / "results.jsonl")


def main() -> None:
    """Run what is named, keep what came of it, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("names", nargs="*", help="files of experiments/, without .yaml")
    parser.add_argument("--take", type=Path, action="append", default=[], metavar="RUN")
    given = parser.parse_args()
    for name in given.names:
        take(run(name))
    for folder in given.take:
        take(folder)
    page.write(EXPERIMENTS, RESULTS)


def run(name: str) -> Path:
    """Run a file as a user does; gives the folder of the run."""
    file = EXPERIMENTS / f"{name}.yaml"
    if not file.is_file():
        raise SystemExit(f"there is no {file}")
    folder = CACHE / "papers" / name
    command = [sys.executable, "-m", "shoal", "run", str(file), "--out", str(folder)]
    subprocess.run(command, check=True)
    return folder


def take(folder: Path) -> None:
    """Keep of a run what the pages say."""
    about = read(folder / "run.json")
    if about["status"] != "complete" or about.get("quick"):
        raise SystemExit(f"{folder}: complete runs count, and quick ones do not")
    where = read(folder / "environment.json")
    RESULTS.save(
        str(about["name"]),
        {
            "started": about["started"],
            "seconds": about["seconds"],
            "shoal": where["shoal"],
            "threads": where["threads"],
            "processor": where["processor"],
            "comparisons": [kept(c) for c in read(folder / "results.json")["comparisons"]],
        },
    )


def kept(comparison: dict[str, Any]) -> dict[str, Any]:
    """The part of a comparison that the pages need."""
    return {
        "data": comparison["data"]["name"],
        "seeds": comparison["seeds"],
        "metrics": comparison["metrics"],
        "published": comparison["published"],
        "verdict": comparison["verdict"]["text"],
        "refused": comparison["refused"],
        "models": [
            {
                "label": model["label"],
                "metrics": {
                    name: {"mean": value["mean"], "se": value["se"]}
                    for name, value in model["metrics"].items()
                },
                "fit_seconds": model["fit_seconds"],
            }
            for model in comparison["models"]
        ],
    }


def read(path: Path) -> dict[str, Any]:
    """A file of a run folder."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    main()
