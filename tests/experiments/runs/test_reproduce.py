"""`shoal reproduce` holds a run against hashes and figures that a file expects."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import figures, only_run

SECOND = 1  # place of the second of two models


@pytest.fixture
def expected(experiment: Written, shoal_command: Shoal) -> dict[str, Any]:
    """The block that a finished run writes of itself."""
    code, out, err = shoal_command("reproduce", experiment(), "--write-expected")
    assert code == 0, err
    return yaml.safe_load(out)["expect"]


def test_what_a_run_writes_of_itself_is_reproduced(
    expected: dict[str, Any], experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    assert expected["hashes"]["log"]["raw"] == {"log": hashlib.sha256(log.read_bytes()).hexdigest()}
    values = figures(only_run())
    for figure in expected["figures"]:
        ours = values["log", figure["model"]][figure["metric"]]["mean"]
        assert figure["value"] == pytest.approx(ours, abs=1e-5)
    assert {figure["model"] for figure in expected["figures"]} == {"popularity", "ease"}
    code, out, err = shoal_command("reproduce", experiment(expect=expected))
    assert code == 0, err
    assert "reproduced: all 5 hashes and figures" in out
    assert len(list(Path("runs").iterdir())) == 2  # it was run, not looked up


def test_a_figure_beyond_its_tolerance_fails(
    expected: dict[str, Any], experiment: Written, shoal_command: Shoal
) -> None:
    figure = next(f for f in expected["figures"] if f["model"] == "ease")
    figure["value"] += 0.01
    figure["tolerance"] = 0.02
    run = only_run()
    code, _, err = shoal_command("reproduce", experiment(expect=expected), "--run", run)
    assert code == 0, err
    figure["tolerance"] = 0.005
    path = experiment(expect=expected)
    code, out, _ = shoal_command("reproduce", path, "--run", run, "--json")
    assert code == 1
    told = json.loads(out)
    assert told["differ"] == 1
    (wrong,) = [one for one in told["expected"] if not one["ok"]]
    assert wrong["model"] == "ease"
    assert wrong["difference"] == pytest.approx(-0.01, abs=1e-4)
    code, out, _ = shoal_command("reproduce", path, "--run", run)
    assert code == 1
    assert "1 of 5 hashes and figures differ" in out
    assert "−0.0100" in out


def test_the_hash_of_the_log_may_be_written_as_one_text(
    expected: dict[str, Any], experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    hashes = expected["hashes"]["log"]
    hashes["raw"] = hashlib.sha256(log.read_bytes()).hexdigest()
    run = only_run()
    code, out, err = shoal_command("reproduce", experiment(expect=expected), "--run", run)
    assert code == 0, err
    assert "reproduced: all 5" in out
    hashes["raw"] = hashlib.sha256(b"another file").hexdigest()
    path = experiment(expect=expected)
    code, out, _ = shoal_command("reproduce", path, "--run", run, "--json")
    assert code == 1
    assert [one["what"] for one in json.loads(out)["expected"] if not one["ok"]] == ["raw.log"]


def test_a_trained_stage_has_the_tolerance_of_trained_models(
    experiment: Written, shoal_command: Shoal
) -> None:
    """Two stages in closed form are computed."""
    trained = {"retriever": "elsa(factors=4;n_epochs=2)", "ranker": "ease"}
    models = [
        {"name": "trained", "model": "two-stage", "set": trained},
        {
            "name": "computed",
            "model": "two-stage",
            "set": {"retriever": "spectral-ease(factors=4)"},
        },
    ]
    path = experiment(models=models, seeds=1)
    code, out, err = shoal_command("reproduce", path, "--write-expected")
    assert code == 0, err
    figures = yaml.safe_load(out)["expect"]["figures"]
    assert {f["model"]: f["tolerance"] for f in figures} == {"trained": 0.01, "computed": 0.0005}


def test_a_run_of_another_file_is_refused(
    expected: dict[str, Any], experiment: Written, shoal_command: Shoal
) -> None:
    run = only_run()
    other = experiment("other.yaml", models=["popularity", {"model": "ease", "set": {"l2": 11}}],
                       expect=expected)  # fmt: skip
    for written in ([], ["--write-expected"]):
        code, out, err = shoal_command("reproduce", other, "--run", run, *written)
        assert (code, out) == (2, "")
        assert "is a run of another file: models.ease.set.l2: 10.0 → 11.0" in err


def test_threads_make_no_other_file(
    expected: dict[str, Any], experiment: Written, shoal_command: Shoal
) -> None:
    path = experiment(expect=expected, run={"threads": 2})
    code, out, err = shoal_command("reproduce", path, "--run", only_run())
    assert code == 0, err
    assert "reproduced: all 5" in out


def test_a_quick_run_is_refused(experiment: Written, shoal_command: Shoal) -> None:
    path = experiment(expect={"figures": [{"model": "ease", "metric": "ndcg@10", "value": 0.3,
                                           "tolerance": 1}]})  # fmt: skip
    assert shoal_command("run", path, "--quick")[0] == 0
    run = only_run()
    for given in ([path], [], ["--write-expected"]):
        code, out, err = shoal_command("reproduce", *given, "--run", run)
        assert (code, out) == (2, "")
        assert "is a quick run" in err


def test_other_data_fail_by_their_hashes(
    expected: dict[str, Any], experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    path = experiment(expect=expected)
    frame = pl.read_csv(log)
    frame.sample(fraction=1, shuffle=True, seed=1).write_csv(log)
    code, out, _ = shoal_command("reproduce", path, "--out", "shuffled", "--json")
    assert code == 1  # the same data in another order: another file, and nothing else
    wrong = [one["what"] for one in json.loads(out)["expected"] if not one["ok"]]
    assert wrong == ["raw.log"]
    frame.filter(pl.col("user") != "u00").write_csv(log)
    code, out, _ = shoal_command("reproduce", path, "--out", "shorter", "--json")
    assert code == 1
    wrong = [one["what"] for one in json.loads(out)["expected"] if not one["ok"]]
    assert wrong[:3] == ["raw.log", "matrix", "held_out"]


def test_a_model_that_was_refused_is_named_with_the_reason(
    experiment: Written, log: Path, shoal_command: Shoal
) -> None:
    pl.read_csv(log).drop("timestamp").write_csv(log)
    figure = {"model": "svae", "metric": "ndcg@10", "value": 0.3, "tolerance": 0.1}
    path = experiment(models=["svae", "ease"], expect={"figures": [figure]})
    code, out, _ = shoal_command("reproduce", path)
    assert code == 1
    assert "NO: svae" in out


def test_a_file_that_expects_nothing_is_refused_before_it_is_run(
    experiment: Written, shoal_command: Shoal
) -> None:
    code, _, err = shoal_command("reproduce", experiment())
    assert code == 2
    assert "--write-expected" in err
    assert not Path("runs").exists()


def test_published_figures_stand_beside(
    expected: dict[str, Any], experiment: Written, shoal_command: Shoal
) -> None:
    figure = {"model": "ease", "metric": "ndcg@10", "value": 0.9, "source": "a paper"}
    code, out, err = shoal_command("reproduce", experiment(expect=expected, published=[figure]))
    assert code == 0, err
    row = next(line.split() for line in out.splitlines() if line.startswith("log   ease"))
    assert row[3] == "0.9"
