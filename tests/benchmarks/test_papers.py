"""Published figures beside ours, as the page has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness.results import Results
from benchmarks.papers import page, run


def comparison(ours: float | None = 0.1763) -> dict:
    value = {"mean": 0.1763, "se": 0.0012, "users": 9}
    figure = {"metric": "recall_full@20", "value": 0.1765, "source": "A table", "note": None}
    return {
        "data": {"name": "gowalla", "users": 9},
        "seeds": [0],
        "metrics": ["recall_full@20"],
        "published": [
            {"model": "ease", "ours": ours, **figure},
            {"model": "lightgcn", "ours": None, **figure, "value": 0.182},
        ],
        "verdict": {"text": "ease is best."},
        "refused": {"svae": "the log has no times"},
        "models": [{"label": "ease", "metrics": {"recall_full@20": value}, "fit_seconds": 240.0}],
    }


def test_difference_is_ours_less_the_published_figure() -> None:
    lines = page.beside(run.kept(comparison())).splitlines()
    assert "| ease | recall_full@20 | 0.1765 | 0.1763 ±0.0012 | -0.0002 | A table |  |" in lines
    assert "| lightgcn | recall_full@20 | 0.182 | – | – | A table |  |" in lines


def test_refused_models_are_told() -> None:
    assert "| svae | refused: the log has no times |" in page.models(run.kept(comparison()))


def folder_of(tmp_path: Path, **about: object) -> Path:
    files = {
        "run.json": {"name": "x", "status": "complete", "started": "2026-01-02T03:04:05+00:00",
                     "seconds": 5400.0, **about},
        "environment.json": {"shoal": "1", "threads": 2, "processor": "a processor"},
        "results.json": {"comparisons": [comparison()]},
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def test_a_run_is_taken_over_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path / "results.jsonl")
    monkeypatch.setattr(run, "RESULTS", results)
    run.take(folder_of(tmp_path))
    row = results.get("x")
    assert row is not None
    text = page.section("x", row)
    assert "Run 2026-01-02 with shoal 1, 2 threads of a processor, in 1.5 h." in text
    content = {"description": "A paper", "models": ["ease", "svae"], "seeds": [0, 1]}
    line = page.overview({"x": content}, {"x": row}).splitlines()[-1]
    assert line == "| [x.yaml](x.yaml) | A paper | 2 × 2 | 0 | 2026-01-02, 1.5 h |"


@pytest.mark.parametrize("about", [{"quick": True}, {"status": "interrupted"}])
def test_quick_and_interrupted_runs_do_not_count(tmp_path: Path, about: dict) -> None:
    with pytest.raises(SystemExit, match="complete runs count"):
        run.take(folder_of(tmp_path, **about))
