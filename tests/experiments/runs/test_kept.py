"""What a run keeps for later and for others: its models, its report, and no names of places."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import polars as pl

from tests.experiments.comparison.test_groups import log_of
from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import only_run

TWO = {"weak": 60, "strong": 1000}  # strengths of regularization: either is better with one seed


def test_all_models_are_kept_where_asked_and_none_otherwise(
    experiment: Written, shoal_command: Shoal
) -> None:
    for kept, expected in (("all", {"popularity", "ease"}), ("none", set())):
        path = experiment(output={"models": kept, "report": False})
        assert shoal_command("run", path, "--out", kept)[0] == 0
        place = Path(kept) / "models" / "log"
        assert ({p.name for p in place.iterdir()} if place.exists() else set()) == expected


def test_kept_and_shown_are_the_best_models_over_all_seeds(
    experiment: Written, tmp_path: Path, shoal_command: Shoal
) -> None:
    log = log_of()
    users = log.users.take(np.repeat(np.arange(log.n_users), np.diff(log.indptr)))
    items = log.items.take(log.indices)
    pl.DataFrame({"user": list(users), "item": list(items)}).write_csv(tmp_path / "two.csv")
    weak, strong = ({"name": n, "model": "ease", "set": {"l2": x}} for n, x in TWO.items())
    parts = {"data": {"file": "two.csv"}, "split": {"kind": "strong", "test": 0.3}}
    shown = {}
    for seeds in ([2], [2, 0]):
        path = experiment(models=[weak, strong, "popularity"], seeds=seeds, output={}, **parts)
        code, _, err = shoal_command("run", path, "--out", f"of-{len(seeds)}")
        assert code == 0, err
        folder = Path(f"of-{len(seeds)}")
        comparison = json.loads((folder / "results.json").read_text())["comparisons"][0]
        best = comparison["models"][0]["label"]
        assert [p.name for p in (folder / "models" / "two").iterdir()] == [best]
        persons = comparison["extras"]["people"]["persons"]
        assert {one["label"] for p in persons for one in p["lists"]} == {best}
        assert comparison["extras"]["map"]["model"] == best
        shown[len(seeds)] = best
    assert shown == {1: "strong", 2: "weak"}
    # what was made of other models than the best ones is made again
    place = folder / "extras" / "two.json"
    made = json.loads(place.read_text())
    place.write_text(json.dumps(made | {"models": ["strong"], "people": None}))
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(about | {"status": "interrupted"}))
    assert shoal_command("run", "--resume", folder)[0] == 0
    assert json.loads(place.read_text()) == made


def test_the_report_is_written_and_written_again(experiment: Written, shoal_command: Shoal) -> None:
    code, _, err = shoal_command("run", experiment(output={"report": True}, seeds=1))
    assert code == 0, err
    folder = only_run()
    names = {"report.html", "report.md", "table.tex", "table.csv"}
    assert names <= {path.name for path in folder.iterdir()}
    for name in names:
        (folder / name).unlink()
    code, out, err = shoal_command("report", folder, "--json")
    assert code == 0, err
    assert {Path(path).name for path in json.loads(out)["files"]} == names
    assert names <= {path.name for path in folder.iterdir()}


def test_a_report_for_others_shows_no_items(experiment: Written, shoal_command: Shoal) -> None:
    assert shoal_command("run", experiment(output={"report": True}, seeds=1))[0] == 0
    folder = only_run()
    assert "People, side by side" in (folder / "report.html").read_text()
    code, _, err = shoal_command("report", folder, "--out", "public", "--without-items")
    assert code == 0, err
    page = Path("public/report.html").read_text()
    assert "People, side by side" not in page
    assert "The item map" not in page
    assert "Leaderboard" in page
    assert "People, side by side" in (folder / "report.html").read_text()  # that of the run stays


def test_the_folder_names_no_host_and_no_place(
    experiment: Written, tmp_path: Path, shoal_command: Shoal
) -> None:
    tuning = {"trials": 2, "metric": "ndcg@10"}
    assert shoal_command("run", experiment(models=["item-knn"], tuning=tuning, seeds=1))[0] == 0
    folder = only_run()
    shoal_command("runs", "list")
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(tmp_path).encode() not in content, path
            assert f'"{socket.gethostname()}"'.encode() not in content, path
