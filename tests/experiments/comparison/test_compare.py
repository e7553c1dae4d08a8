"""`compare`: the same users for all, several seeds, and what happens when something fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.errors import DataError, ModelError
from shoal.experiments.comparison.compare import Interrupted, compare
from shoal.experiments.comparison.entrant import Entrant, entrants_of
from shoal.experiments.comparison.notes import budgets
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import Split
from tests.experiments.comparison.test_groups import log_of

ONE = Run(threads=1)
METRICS = ["ndcg@10", "coverage@10"]


def splits() -> Callable[[int], Split]:
    log = log_of()
    return lambda seed: shoal.split(log, "strong", test=0.3, seed=seed)


def test_every_seed_has_a_split_of_its_own_that_all_models_share() -> None:
    found = compare(splits(), ["ease", "popularity"], metrics=METRICS, seeds=3, run=ONE)
    assert found.seeds == (0, 1, 2)
    for entry in found.entries:
        assert [cell.seed for cell in entry.cells] == [0, 1, 2]
        for seed, cell in enumerate(entry.cells):
            assert cell.evaluation.users == splits()(seed).test.history.users
        assert len({tuple(c.evaluation.users.series.to_list()) for c in entry.cells}) == 3
    best = found.entries[0]
    assert best.label == "ease"
    # each seed is what a comparison with that seed alone finds
    for seed in range(3):
        alone = compare(splits()(seed), ["ease"], metrics=METRICS, run=Run(seed=seed, threads=1))
        mean = alone.entries[0].scores["ndcg@10"].mean
        assert best.scores["ndcg@10"].by_seed[seed] == pytest.approx(mean)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_given_split_is_the_same_for_all_seeds() -> None:
    found = compare(splits()(5), ["ease", "popularity"], metrics=METRICS, seeds=[4, 7], run=ONE)
    score = found.entries[0].scores["ndcg@10"]
    assert found.seeds == (4, 7)
    assert score.spread == pytest.approx(0, abs=1e-6)
    assert score.n_users == splits()(5).test.n_users


@pytest.mark.parametrize("seeds", [0, [], [1, 1], [-1]])
def test_seeds_that_are_none(seeds: Any) -> None:
    with pytest.raises(ModelError, match="seeds="):
        compare(splits(), ["ease"], seeds=seeds)


def test_labels_are_unique_and_settings_are_checked_before_the_first_fit() -> None:
    labels = [e.label for e in entrants_of(["ease", shoal.EASE(l2=3), "EASE", "popularity"])]
    assert labels == ["ease", "ease-2", "ease-3", "popularity"]
    with pytest.raises(ModelError, match="l2"):
        compare(splits(), [Entrant("mine", by_name("ease"), {"l2": -1})])
    with pytest.raises(DataError, match="cannot be compared by rankings"):
        compare(splits(), ["u-autorec"])
    with pytest.raises(DataError, match="takes a split first"):
        compare(["ease"], splits())  # type: ignore[arg-type]


def test_a_model_that_is_given_as_an_object_is_fitted_itself() -> None:
    model = shoal.EASE(l2=7)
    found = compare(
        splits(), [model, "popularity"], metrics=METRICS, seeds=2, run=ONE, keep_models=True
    )
    assert model.fitted
    assert found.models["ease"] is model
    cells = next(e for e in found.entries if e.label == "ease").cells
    assert [cell.settings["l2"] for cell in cells] == [7, 7]
    # the second seed fitted another object: this one still knows the users of the first
    assert model.item_counts is not None
    assert np.array_equal(model.item_counts, splits()(0).train.item_counts)


def test_models_that_refuse_are_named_and_the_others_compared() -> None:
    found = compare(
        splits(), ["svae", "ease", "popularity"], metrics=METRICS, seeds=2, run=ONE
    )  # the log has no times
    assert set(found.refused) == {"svae"}
    assert {e.label for e in found.entries} == {"ease", "popularity"}
    assert found.unfinished == ()
    with pytest.raises(DataError, match="order of time"):
        compare(splits(), ["svae"], metrics=METRICS, run=ONE)


def test_an_interrupt_keeps_what_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    fit = by_name("popularity").fit

    def interrupted(self: Any, *given: Any) -> Any:
        fits.append(self)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(self, *given)

    compare(splits(), ["popularity"], metrics=METRICS, run=ONE)  # warmed up
    monkeypatch.setattr(by_name("popularity"), "fit", interrupted)
    with pytest.raises(Interrupted) as caught:
        compare(splits(), ["ease", "popularity"], metrics=METRICS, seeds=2, run=ONE)
    found = caught.value.comparison
    assert {e.label: len(e.cells) for e in found.entries} == {"ease": 2, "popularity": 1}
    assert found.unfinished == ("popularity",)
    assert "popularity was measured with 1 of 2 seeds." in found.notes
    fits.pop()  # the next one is the second again
    with pytest.raises(KeyboardInterrupt) as alone:
        compare(splits(), ["popularity"], metrics=METRICS, run=ONE)
    assert not isinstance(alone.value, Interrupted)  # nothing was finished


def test_tuning_is_done_once_and_shared() -> None:
    found = compare(
        splits(),
        ["popularity", "ease", "edlae", Entrant("fixed", by_name("ease"), {"l2": 3}, tune=False)],
        metrics=METRICS,
        seeds=2,
        trials=3,
        sampler="random",
        run=ONE,
    )
    entries = {e.label: e for e in found.entries}
    for label in ("ease", "edlae"):
        entry = entries[label]
        assert entry.searched is not None
        assert entry.trials >= 3
        assert entry.tune_seconds > 0
        # both seeds have the settings of the one search
        assert [c.settings for c in entry.cells] == [entry.searched.best.settings] * 2
    # the best of ease is among the trials of edlae, which contains it
    ease, edlae = entries["ease"].searched, entries["edlae"].searched
    assert ease is not None
    assert edlae is not None
    assert edlae.best.score >= ease.best.score - 1e-9
    assert entries["popularity"].searched is None  # it has nothing to search
    assert (entries["fixed"].searched, entries["fixed"].cells[0].settings["l2"]) == (None, 3)
    assert any(note.startswith("Tuned once") for note in found.notes)


def test_a_model_below_one_that_it_contains_says_why() -> None:
    found = compare(
        splits(),
        ["ease", "edlae"],
        settings={"ease": {"l2": 30}, "edlae": {"l2": 1e6}},
        metrics=METRICS,
        run=ONE,
    )
    assert [e.label for e in found.entries] == ["ease", "edlae"]
    (note,) = [note for note in found.notes if note.startswith("edlae contains")]
    assert "tuning would try those of ease too" in note


def test_budgets_that_differ_are_told() -> None:
    found = compare(
        splits(),
        ["item-knn", Entrant("plain", by_name("ease"), tune=False)],
        metrics=METRICS,
        trials=2,
        sampler="random",
        run=ONE,
    )
    (note,) = [note for note in found.notes if note.startswith("Budgets")]
    assert note == "Budgets of tuning differ: item-knn 2 trials, plain none."


def test_a_budget_of_inverses_is_told_as_one() -> None:
    found = compare(
        splits(), ["ease", "item-knn"], metrics=METRICS, trials=2, sampler="random", run=ONE
    )
    (ease,) = [entry for entry in found.entries if entry.label == "ease"]
    assert ease.searched is not None
    inverses = len({trial.settings["l2"] for trial in ease.searched.trials})
    assert ease.searched.inverses == inverses == 2  # of which each gives many settings
    assert ease.trials > 2
    assert not [note for note in found.notes if note.startswith("Budgets")]
    uneven = replace(ease.searched, inverses=3)
    told = budgets([replace(e, searched=uneven) if e is ease else e for e in found.entries])
    assert f"ease 3 inverses for {ease.trials} settings" in told[0]


def test_only_the_best_of_each_kind_is_kept() -> None:
    found = compare(
        splits(),
        ["popularity", "lae", "ease", "item-knn"],
        metrics=METRICS,
        run=ONE,
        keep_models="best",
    )
    linear = next(e.label for e in found.entries if e.kind == "linear")
    assert set(found.models) == {"popularity", linear}
    assert all(model.fitted for model in found.models.values())
    everything = compare(
        splits(), ["popularity", "ease"], metrics=METRICS, run=ONE, keep_models=True
    )
    assert list(everything.models) == [e.label for e in everything.entries]


def test_the_model_that_is_kept_is_the_best_over_all_seeds() -> None:
    ease = by_name("ease")
    entrants = [Entrant("weak", ease, {"l2": 60}), Entrant("strong", ease, {"l2": 1000})]
    first = compare(splits(), entrants, metrics=METRICS, seeds=[2], run=ONE, keep_models="best")
    assert set(first.models) == {"strong"}
    # the other seed turns the order round: the model of the first seed is fitted once more
    found = compare(splits(), entrants, metrics=METRICS, seeds=[2, 0], run=ONE, keep_models="best")
    assert set(found.models) == {"weak"} == {found.entries[0].label}
    parts = splits()(2)
    by_hand = shoal.EASE(l2=60).fit(parts.train, run=Run(threads=1, seed=2))
    kept = found.models["weak"].state()
    assert all(np.allclose(kept[name], array) for name, array in by_hand.state().items())


def test_each_fit_keeps_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = Run(threads=1, checkpoint=tmp_path / "kept")
    found = compare(
        splits(),
        ["elsa", "mult-dae"],
        settings={name: {"n_epochs": 2, "factors": 4} for name in ("elsa", "mult-dae")},
        metrics=METRICS,
        seeds=2,
        run=run,
    )
    assert found.refused == {}
    folders = {
        path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").glob("*/*")
    }
    assert folders >= {f"{m}/seed-{s}" for m in ("elsa", "mult-dae") for s in (0, 1)}


def test_the_page_on_comparing_says_what_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "comparing.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    log = log_of(60, 120)  # more than 100 items, for ndcg@100
    pairs = {"user": log.user_codes, "item": log.indices, "rating": np.full(len(log), 5)}
    pl.DataFrame(pairs).write_csv(tmp_path / "ratings.csv")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"shoal": shoal}
    exec(code.replace("trials=20", "trials=2"), names)  # noqa: S102 - our own page
    assert names["found"].verdict.startswith(names["found"].entries[0].label)
    assert names["found"].seeds == (0, 1, 2, 3, 4)
    assert names["found"].verdict in capsys.readouterr().out.replace("\n", " ")
