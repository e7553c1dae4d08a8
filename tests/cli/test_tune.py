"""``shoal tune``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Shoal = Callable[..., tuple[int, str, str]]

SMALL = ("--metric", "ndcg@10", "--metrics", "ndcg@10", "--threads", 1)


def test_json_has_everything(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("tune", ratings, "--trials", 3, *SMALL, "--json")
    assert code == 0
    found = json.loads(text)
    assert len({(t["settings"]["l2"], t["settings"]["beta"]) for t in found["trials"]}) == 3
    assert found["validation"]["ndcg@10"] == max(t["ndcg@10"] for t in found["trials"])
    assert {t["source"] for t in found["trials"]} == {"default", "drawn"}
    assert found["seconds"] > 0
    assert "3 inverses" in found["notes"][0]


def test_a_table_that_cannot_be_is_refused_before_the_search(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.experiments.tuning import jobs

    monkeypatch.setattr(jobs, "search", None)
    code, text, _ = shoal_command("tune", ratings, "--metric", "ndcg@10", "--json")
    assert code == 2
    assert "@100 is more than the catalogue" in json.loads(text)["error"]


def test_a_last_fit_that_fails_loses_no_search(
    ratings: Path, shoal_command: Shoal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.errors import ModelError
    from shoal.experiments.tasks import RankingTask

    def fail(*_: object) -> None:
        raise ModelError("out of memory")

    monkeypatch.setattr(RankingTask, "evaluate", fail)
    out = tmp_path / "best.yaml"
    code, text, err = shoal_command("tune", ratings, "--trials", 2, *SMALL, "--out", out)
    assert code == 2
    assert "out of memory" in err
    assert "ndcg@10 0." in text
    assert "policy_type" in out.read_text()


def test_more_processes_than_any_machine_has_use_for_are_refused(
    ratings: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    arguments = ("--jobs", 100_000, "--storage", tmp_path / "study.sqlite")
    code, text, _ = shoal_command("tune", ratings, *SMALL, *arguments, "--json")
    assert code == 2
    assert "jobs=100000: this machine has" in json.loads(text)["error"]


def test_one_fit_for_each_trial(ratings: Path, shoal_command: Shoal) -> None:
    arguments = ("--model", "item-knn", "--trials", 3, *SMALL, "--json")
    for sampler in ("random", "tpe"):
        code, text, _ = shoal_command("tune", ratings, *arguments, "--sampler", sampler)
        assert code == 0
        assert len(json.loads(text)["trials"]) == 3


def test_ranges_and_a_policy_file(ratings: Path, shoal_command: Shoal, tmp_path: Path) -> None:
    out = tmp_path / "best.yaml"
    code, text, _ = shoal_command(
        *("tune", ratings, "--model", "rlae", "--range", "l2=5:50:log", "--range", "xi=0.1,0.4"),
        *("--set", "beta=0.25", "--trials", 4, *SMALL, "--json", "--out", out),
    )
    assert code == 0
    trials = json.loads(text)["trials"]
    assert {t["settings"]["xi"] for t in trials} <= {0.1, 0.3, 0.4}  # and the default
    assert {t["settings"]["alpha"] for t in trials} == {0.0}
    assert {t["settings"]["beta"] for t in trials} == {0.25}
    drawn = [t["settings"]["l2"] for t in trials if t["source"] == "drawn"]
    assert all(5 <= l2 <= 50 for l2 in drawn)

    written = out.read_text()
    assert written.startswith("# Written by shoal tune")
    best = json.loads(text)["best"]
    policy = yaml.safe_load(written)["policy_configs"]["scoring_policy"]
    assert policy.pop("policy_type") == "rlae"
    assert policy == {n: v for n, v in best.items() if n in policy}
    folder = tmp_path / "model"
    code, _, _ = shoal_command("train", ratings, "--policy", out, "--out", folder)
    assert code == 0
    code, _, error = shoal_command("tune", ratings, "--trials", 1, *SMALL, "--out", out)
    assert code == 0, error  # shoal made it, and may replace it
    out.write_text("policy_type: mine")
    code, _, error = shoal_command("tune", ratings, "--trials", 1, *SMALL, "--out", out)
    assert code == 2
    assert "--overwrite" in error


def test_a_policy_file_with_ranges(ratings: Path, shoal_command: Shoal, tmp_path: Path) -> None:
    policy = tmp_path / "in.yaml"
    policy.write_text(
        "policy_configs:\n  scoring_policy:\n    policy_type: ease\n    alpha: 0.2\n"
        "    l2: {min: 10, max: 20}\n"
    )
    code, text, error = shoal_command(
        "tune", ratings, "--policy", policy, "--trials", 3, *SMALL, "--json"
    )
    assert code == 0, error
    trials = json.loads(text)["trials"]
    assert {t["settings"]["alpha"] for t in trials} == {0.2}
    assert all(10 <= t["settings"]["l2"] <= 20 for t in trials if t["source"] == "drawn")


def test_a_study_in_a_file_goes_on(ratings: Path, shoal_command: Shoal, tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite"
    first = shoal_command("tune", ratings, "--trials", 2, *SMALL, "--json", "--storage", file)
    second = shoal_command("tune", ratings, "--trials", 3, *SMALL, "--json", "--storage", file)
    assert (first[0], second[0]) == (0, 0)
    before, after = (json.loads(text)["trials"] for _, text, _ in (first, second))
    assert after[: len(before)] == before
    assert len(after) > len(before)
    code, _, error = shoal_command(
        "tune", ratings, *SMALL, "--storage", file, "--range", "l2=1:2", "--trials", 3
    )
    assert code == 2
    assert "is another search" in error
    assert "1 to 2 here" in error


def test_what_a_person_reads(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("tune", ratings, "--trials", 8, *SMALL)
    assert code == 0
    assert "trials in" in text
    assert "a minute" in text
    assert "settings" in text
    assert "the best, on test users:" in text
    assert "(default)" in text or "l2" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--metric", "ndgc@10"), "ndgc"),
        (("--metric", "gini@10"), "higher is not better"),
        (("--range", "l2=100:10"), "reversed"),
        (("--range", "l2=0:10:log"), "logarithmic"),
        (("--range", "lambda=1:2"), "no such hyper-parameter"),
        (("--range", "alhpa=0:1"), "did you mean alpha"),
        (("--range", "l2"), "write name=low:high"),
        (("--range", "l2=1:2:log:3"), "write name=low:high"),
        (("--range", "l2=1:2", "--range", "l2=3:4"), "twice"),
        (("--range", "l2=1:2", "--set", "l2=3"), "both name l2"),
        (("--range", "alpha=0:2"), "alpha"),
        (("--range", "nonnegative=perhaps"), "nonnegative"),
        (("--minutes", "0"), "above 0"),
        (("--minutes", "-1"), "above 0"),
        (("--trials", "0"), "1 or more"),
        (("--sampler", "grid"), "tpe or random"),
        (("--jobs", "0"), "1 or more"),
        (("--jobs", "2"), "--storage FILE"),
        (("--out", "best.txt"), ".yaml"),
        (("--validation-size", "0"), "validation"),
    ],
)
def test_bad_input(
    ratings: Path, shoal_command: Shoal, arguments: tuple[str, ...], told: str
) -> None:
    more = () if "--metric" in arguments else ("--metric", "ndcg@10")
    code, _, error = shoal_command("tune", ratings, "--metrics", "ndcg@10", *more, *arguments)
    assert code == 2
    assert told in error
    assert len(error.strip().splitlines()) == 1


def test_trainings_that_were_stopped_come_last(ratings: Path, shoal_command: Shoal) -> None:
    pytest.importorskip("torch")
    arguments = ("tune", ratings, "--model", "mult-dae", "--range", "lr=0.000000001,0.01")
    arguments += ("--set", "n_epochs=8", "--set", "factors=8", "--trials", 8)
    code, text, _ = shoal_command(*arguments, *SMALL, "--sampler", "random", "--json")
    assert code == 0
    trials = json.loads(text)["trials"]
    states = {t["state"] for t in trials}
    assert states == {"complete", "pruned"}
    assert {t["epochs"] for t in trials if t["state"] == "pruned"} <= {2, 4}
    code, text, _ = shoal_command(*arguments, *SMALL, "--sampler", "random")
    lines = [line for line in text.splitlines() if "lr=" in line and line.startswith("ndcg@10 ")]
    stopped = ["stopped after epoch" in line for line in lines]
    assert sorted(stopped) == stopped
    assert any(stopped)
    assert not all(stopped)
