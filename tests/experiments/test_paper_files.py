"""Each file of `experiments/` runs on a small invented log of the form of its data."""

import json
from pathlib import Path

import pytest

from benchmarks.papers import page
from benchmarks.papers.run import RESULTS
from shoal.experiments.files.reading import read_experiment
from shoal.experiments.runs.order import Order
from shoal.experiments.runs.work import run_experiment
from shoal.models.registry import models
from tests.experiments.paper_logs import write_log_like

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
FILES = sorted(FOLDER.glob("*.yaml"))
PAPERS = {
    *("vasp-ml-20m", "vasp-netflix", "article-ml-1m", "ml-1m-all"),
    *(f"elsa-{data}" for data in ("ml-20m", "netflix", "goodbooks-10k")),
    *(f"l3ae-{data}" for data in ("games", "toys", "books")),
    *(f"lightgcn-{data}" for data in ("gowalla", "yelp2018", "amazon-book")),
    *(f"rlae-{data}-strong" for data in ("ml-20m", "netflix", "msd")),
    *(
        f"rlae-{data}-{kind}"
        for data in ("gowalla", "yelp2018", "amazon-book")
        for kind in ("strong", "weak")
    ),
}


def test_all_papers_are_there():
    assert {file.stem for file in FILES} == PAPERS


def test_every_ranking_model_of_the_library_is_in_the_file_of_all():
    experiment = read_experiment(FOLDER / "ml-1m-all.yaml")
    entered = {entrant.kind.name for entrant in experiment.entrants}
    assert entered == {name for name, kind in models().items() if kind.task == "ranking"}
    modes = {e.unfitted().mode for e in experiment.entrants if e.kind.name == "vasp"}
    assert modes == {"joint", "alternating", "ensemble"}


def test_the_table_says_which_files_there_are_and_which_have_been_run():
    files = {file.stem: page.load(file) for file in FILES}
    rows = {name: RESULTS.get(name) for name in files}
    assert page.overview(files, rows) in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_runs_end_to_end(file, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("optuna")
    experiment = read_experiment(file)
    assert experiment.name == file.stem
    places = {part.label: write_log_like(part, tmp_path / part.label) for part in experiment.data}
    run_part = experiment.run.model_copy(update={"threads": 1, "device": "cpu"})
    experiment = experiment.model_copy(update={"run": run_part})
    folder = run_experiment(Order(experiment, quick=True, elsewhere=places), tmp_path / "run")
    assert folder.status == "complete"
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    for comparison in results["comparisons"]:
        assert comparison["refused"] == {}
        assert comparison["unfinished"] == []
        assert {model["label"] for model in comparison["models"]} == {
            entrant.label for entrant in experiment.entrants
        }
        for figure in comparison["published"]:
            runs_here = figure["model"] in {entrant.label for entrant in experiment.entrants}
            assert (figure["ours"] is not None) == runs_here
        for model in comparison["models"]:
            for metric in experiment.evaluation.metrics:
                if ":" not in metric:
                    value = model["metrics"][metric]["mean"]
                    assert value is not None, (model["label"], metric)
    assert (tmp_path / "run" / "report.html").is_file() == experiment.output.report
