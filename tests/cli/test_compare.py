"""``shoal compare``: ranks, refuses, concludes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.cli import progress
from shoal.models.registry import by_name

Shoal = Callable[..., tuple[int, str, str]]


def test_compare_ranks_refuses_and_concludes(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,EASE,item_knn", "--metrics", "ndcg@10"),
        *("--set", "ease.l2=10", "--json", "--test-size", 0.3),
    )
    assert code == 0
    found = json.loads(text)
    assert found["models"][-1]["model"] == "popularity"
    assert {m["model"] for m in found["models"]} == {"popularity", "ease", "item-knn"}
    best = found["models"][0]
    assert best["against_best"] is None
    assert found["models"][-1]["against_best"]["p_holm"] < 0.05
    assert found["verdict"]["best"] == best["label"]
    assert f"{best['label']} is best by ndcg@10" in found["verdict"]["text"]
    assert "no deep model was compared" in found["verdict"]["depth"]["text"]
    assert all({"fit_seconds", "model_bytes"} <= set(m) for m in found["models"])
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "fast", "--metrics", "ndcg@10", "--tune", 2),
    )
    assert code == 0
    assert "is best by ndcg@10" in text
    assert "rdlae" in text
    assert "mult-vae" not in text
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,mrf", "--metrics", "ndcg@10"),
        *("--memory", "1100kB", "--json"),  # MRF takes more for each thread
    )
    assert code == 0
    assert "mrf" in json.loads(text)["refused"]


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_keeps_what_is_finished(
    ratings: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(by_name("ease"), "fit", interrupted)
    code, text, err = shoal_command(
        *("compare", ratings, "--models", "popularity,item-knn,ease,lae", "--metrics", "ndcg@10"),
        *(["--json"] if as_json else []),
    )
    assert code == 130
    assert "these models were not finished: ease, lae" in err
    if as_json:
        assert {m["model"] for m in json.loads(text)["models"]} == {"popularity", "item-knn"}
    else:
        assert "popularity" in text
        assert "is best by ndcg@10" in text


def test_a_piped_run_says_what_is_finished(ratings: Path, shoal_command: Shoal) -> None:
    _, text, err = shoal_command(
        *("compare", ratings, "--models", "popularity,item-knn", "--metrics", "ndcg@10")
    )
    assert "popularity: ndcg@10 " in err
    assert "(2 of 2)" in err
    assert "…" not in text


def test_lines_of_progress_come_at_intervals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.WrittenProgress()
    with lines.step("training", 100) as step:
        for _ in range(100):
            now[0] += 1
            step.advance()
            step.note("loss 1")
    printed = capsys.readouterr().err.splitlines()
    assert printed[0].startswith("training, 5 %")
    assert 4 <= len(printed) <= 8  # 5, then 7.5, 11.25, … seconds apart


def test_a_training_log_names_its_models_and_each_keeps_its_own_checkpoint(
    ratings: Path, shoal_command: Shoal
) -> None:
    pytest.importorskip("torch")
    log, kept = ratings.parent / "curve.jsonl", ratings.parent / "kept"
    code, text, err = shoal_command(
        *("compare", ratings, "--models", "popularity,elsa,mult-dae", "--metrics", "ndcg@10"),
        *("--set", "elsa.n_epochs=2,elsa.factors=4,mult-dae.n_epochs=2,mult-dae.factors=8"),
        *("--training-log", log, "--checkpoint", kept, "--json"),
    )
    assert code == 0, err
    assert json.loads(text)["refused"] == {}
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["model"], row["epoch"]) for row in rows] == [
        *(("elsa", 1), ("elsa", 2)),
        *(("mult-dae", 1), ("mult-dae", 2)),
    ]
    assert {path.name for path in kept.iterdir()} == {"elsa", "mult-dae"}
