"""`shoal runs` lists, shows and compares what experiments have left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.experiments.runs.conftest import Shoal, Written


@pytest.fixture
def two(experiment: Written, shoal_command: Shoal) -> tuple[Path, Path]:
    """Runs of two files that differ in a setting, and in a model."""
    first = experiment("a.yaml")
    second = experiment(
        "b.yaml", models=[{"model": "ease", "set": {"l2": 200}}, {"model": "item-knn"}]
    )
    for path, out in ((first, "runs/a"), (second, "runs/b")):
        code, _, err = shoal_command("run", path, "--out", out)
        assert code == 0, err
    return Path("runs/a"), Path("runs/b")


def test_list_names_status_and_best(two: tuple[Path, Path], shoal_command: Shoal) -> None:
    code, out, err = shoal_command("runs", "list")
    assert code == 0, err
    assert "runs/a" in out
    assert "complete" in out
    listed = json.loads(shoal_command("runs", "list", "runs", "--json")[1])
    told = {run["folder"]: run for run in listed}
    results = json.loads((two[0] / "results.json").read_text())["comparisons"][0]
    best = max(results["models"], key=lambda model: model["metrics"]["ndcg@10"]["mean"])
    assert told["runs/a"]["data"][0]["best"] == best["label"]
    assert (told["runs/a"]["cells"], told["runs/a"]["of"]) == (4, 4)


def test_show_has_table_verdict_and_environment(
    two: tuple[Path, Path], shoal_command: Shoal
) -> None:
    code, out, err = shoal_command("runs", "show", two[0])
    assert code == 0, err
    for part in ("circles: complete", "is best by ndcg@10", "Python", "sha256", "shoal run"):
        assert part in out
    told = json.loads(shoal_command("runs", "show", two[0], "--json")[1])
    assert told["comparisons"][0]["metric"] == "ndcg@10"
    code, _, err = shoal_command("runs", "show", two[0], "--model", "easy")
    assert code == 2
    assert "ease" in err


def test_show_has_the_trials_of_a_model(experiment: Written, shoal_command: Shoal) -> None:
    tuning = {"trials": 3, "metric": "ndcg@10", "sampler": "random"}
    path = experiment(models=["ease"], tuning=tuning, seeds=1)
    assert shoal_command("run", path, "--out", "tuned")[0] == 0
    code, out, err = shoal_command("runs", "show", "tuned", "--model", "ease", "--json")
    assert code == 0, err
    trials = json.loads(out)["trials"]
    results = json.loads(Path("tuned/results.json").read_text())["comparisons"][0]["models"][0]
    best = max(trials, key=lambda trial: trial["score"])
    assert best["settings"] == results["settings"]
    assert f"{best['score']:.4f}" in shoal_command("runs", "show", "tuned", "--model", "ease")[1]


def test_diff_tests_the_users_of_both(two: tuple[Path, Path], shoal_command: Shoal) -> None:
    code, out, err = shoal_command("runs", "diff", *two, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["data"] == []
    assert {"place": "log ease.l2", "before": 10.0, "after": 200.0} in told["settings"]
    assert told["only_before"] == [["log", "popularity"]]
    assert told["only_after"] == [["log", "item-knn"]]
    change = next(c for c in told["changes"] if c["metric"] == "recall@5")
    before, after = (
        pl.read_parquet(folder / "per_user.parquet").filter(model="ease") for folder in two
    )
    both = before.join(after, on=["seed", "user"], suffix="_after")
    values = both.select("user", d=pl.col("recall@5_after") - pl.col("recall@5"))
    d = values.group_by("user").mean()["d"].to_numpy()
    expected = stats.ttest_1samp(d, 0)
    assert change["paired"]["difference"] == pytest.approx(d.mean())
    assert change["paired"]["users"] == len(d)
    assert change["paired"]["p"] == pytest.approx(float(expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert change["paired"]["ci95"] == pytest.approx(np.array([interval.low, interval.high]))
    assert "data: the same" in shoal_command("runs", "diff", *two)[1]


def test_diff_of_runs_that_share_nothing_is_short(
    experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    log.with_name("other.csv").write_bytes(log.read_bytes())
    for name, model in (("log", "popularity"), ("other", "ease")):
        path = experiment(f"{name}.yaml", data={"file": f"{name}.csv"}, models=[model], seeds=1)
        assert shoal_command("run", path, "--out", f"runs/{name}")[0] == 0
    code, out, err = shoal_command("runs", "diff", "runs/log", "runs/other")
    assert code == 0, err
    lines = [line.strip() for line in out.splitlines()]
    for place in ("data.log", "models.popularity", "log"):
        assert f"{place}: present → absent" in lines
    for place in ("data.other", "models.ease", "other"):
        assert f"{place}: absent → present" in lines
    assert len(lines) < 15


def test_published_figures_have_a_heading_and_each_note_once(
    experiment: Written, shoal_command: Shoal
) -> None:
    note = "they hold out other users"
    published = [
        {"model": "ease", "metric": metric, "value": 1, "note": note}
        for metric in ("ndcg@10", "recall@5")
    ]
    published.append({"model": "popularity", "metric": "ndcg@10", "value": 0.9, "note": "alone"})
    path = experiment(published=published, seeds=1)
    for command in (("run", path, "--out", "runs/a"), ("runs", "show", "runs/a")):
        code, out, err = shoal_command(*command)
        assert code == 0, err
        lines = out.splitlines()
        heading = lines.index("published figures beside ours")
        assert lines[heading + 1].split()[:3] == ["model", "metric", "published"]
        assert [line.endswith("[1]") for line in lines[heading + 2 : heading + 5]] == [1, 1, 0]
        assert lines[heading + 5] == f"[1] {note}"
        assert out.count(note) == 1
        assert "−0." in lines[heading + 2]  # with a true minus
    assert "alone" in lines[heading + 4]


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, shoal_command: Shoal) -> None:
    code, _, err = shoal_command("runs", "show", tmp_path)
    assert code == 2
    assert "no folder of a run" in err
    (tmp_path / "run.json").write_text('{"format": 1, "sta')
    code, _, err = shoal_command("runs", "show", tmp_path)
    assert code == 2
    assert "is damaged" in err
    (tmp_path / "run.json").write_text('{"format": 99, "status": "complete"}')
    code, _, err = shoal_command("runs", "show", tmp_path)
    assert code == 2
    assert "newer shoal" in err
    code, _, err = shoal_command("runs", "list", tmp_path / "nowhere")
    assert code == 2
