"""`write_report`: four files, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import ArtifactError
from shoal.experiments.report.markdown import report_markdown
from shoal.experiments.report.run_files import RunFiles, read_run_files
from shoal.experiments.report.write import write_report
from tests.experiments.report import invented

NAMES = ["report.html", "report.md", "table.tex", "table.csv"]


def test_four_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    written = write_report(invented.results(), folder)
    assert [path.name for path in written] == NAMES
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    write_report(invented.results("other"), folder)
    assert "other" in (folder / "table.csv").read_text()
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_a_report_elsewhere_reads_the_run_where_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.yaml").write_text("name: the-file\n")
    write_report(invented.results(), tmp_path / "out", run_folder=run)
    assert "name: the-file" in (tmp_path / "out" / "report.html").read_text()
    assert "name: the-file" in (tmp_path / "out" / "report.md").read_text()
    assert not list(run.glob("report.*"))


def test_lone_surrogates_of_a_title_do_not_stop_a_report(tmp_path: Path) -> None:
    results = invented.results()
    results["comparisons"][0]["models"][0]["label"] = "half \ud83d a letter"
    assert len(write_report(results, tmp_path)) == 4


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ({"format": 2, "comparisons": []}, "update shoal"),
        ({}, "no list `comparisons`"),
        ({"comparisons": {}}, "no list `comparisons`"),
        (
            {"comparisons": [{"data": {"name": "x"}, "metric": "ndcg@100"}]},
            "comparison 1 .* models",
        ),
        ({"comparisons": [{"data": {}, "metric": "m", "models": []}]}, "data.name"),
    ],
)
def test_what_is_no_results_is_refused(tmp_path: Path, results: dict[str, Any], words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        write_report(results, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_report(invented.results(), tmp_path / "file", run_folder=tmp_path)


def test_run_files_that_are_missing_are_empty(tmp_path: Path) -> None:
    assert read_run_files(tmp_path) == RunFiles()


def test_trials_are_read_up_to_a_line_that_was_cut_off(tmp_path: Path) -> None:
    lines = [json.dumps({"model": "ease", "score": s}) for s in (0.1, 0.2)]
    (tmp_path / "trials.jsonl").write_text("\n".join(lines) + '\n{"model": "ea')
    assert [row["score"] for row in read_run_files(tmp_path).trials] == [0.1, 0.2]
    (tmp_path / "trials.jsonl").write_text('{"model": "ea\n' + lines[0])
    with pytest.raises(ArtifactError, match=r"trials\.jsonl, line 1"):
        read_run_files(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_file_of_a_run_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"environment\.json"):
        read_run_files(tmp_path)


def test_markdown_tells_all_and_keeps_names_text() -> None:
    files = RunFiles(experiment="a: '```'\n", environment={"processor": "Abacus 9", "threads": 2})
    text = report_markdown(invented.results("one", "two"), files)
    for part in (
        "## one", "## two", "0.4500 ± 0.0100", "−0.0500", "could be chance", "### Costs",
        "A & B 2019".replace("&", r"\&"), "slim was left out", "Abacus 9", "````yaml",
    ):  # fmt: skip
        assert part in text, part
    prose = text.split("````")[0]
    assert "<script" not in prose.replace(r"\<script", "")
    assert "<img" not in prose.replace(r"\<img", "")
