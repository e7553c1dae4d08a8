"""Averages over seeds and paired tests, on numbers that a person can check."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shoal.evaluation.significance import holm
from shoal.experiments.comparison.conclude import best_by_kind, conclude
from shoal.experiments.comparison.entry import entry_of
from shoal.experiments.comparison.notes import settings_by_seed
from shoal.experiments.report.sections import unfinished
from shoal.experiments.tuning.trials import Searched, Trial, over_seeds
from tests.experiments.comparison.invented import cell

NAN = float("nan")


def test_a_user_of_several_seeds_counts_once() -> None:
    # user 1 is tested with both seeds: (0.2 + 0.6) / 2 = 0.4; user 2 and 3 with one each
    entry = entry_of(
        [
            cell("ease", [0.2, 0.1], seed=0, users=[1, 2]),
            cell("ease", [0.6, 0.7], seed=1, users=[1, 3]),
        ]
    )
    score = entry.scores["ndcg@10"]
    assert score.mean == pytest.approx((0.4 + 0.1 + 0.7) / 3)
    # the three users differ from their mean .4 by 0, −.3 and .3
    assert score.se == pytest.approx(np.sqrt((0.3**2 + 0.3**2) / 2) / np.sqrt(3))
    assert score.n_users == 3
    assert score.by_seed == pytest.approx((0.15, 0.65))
    assert score.spread == pytest.approx(0.5 / np.sqrt(2))


def test_one_seed_has_the_numbers_of_its_evaluation_and_no_spread() -> None:
    one = cell("ease", [0.2, 0.1, 0.5])
    score = entry_of([one]).scores["ndcg@10"]
    assert (score.mean, score.se) == (
        one.evaluation.scores["ndcg@10"].mean,
        one.evaluation.scores["ndcg@10"].se,
    )
    assert score.spread is None


def test_metrics_without_users_are_averaged_over_seeds() -> None:
    cells = [cell("ease", [0.1, 0.2], seed=s, overall={"coverage@10": 0.2 * s}) for s in range(3)]
    score = entry_of(cells).scores["coverage@10"]
    assert score.mean == pytest.approx(0.2)
    assert score.se is None
    assert score.spread == pytest.approx(0.2)


def test_users_that_a_metric_does_not_count_are_left_out_of_it() -> None:
    tail = "ndcg@10:tail"
    cells = [
        cell("ease", {"ndcg@10": [0.2, 0.4], tail: [NAN, 0.4]}, seed=0),
        cell("ease", {"ndcg@10": [0.2, 0.4], tail: [NAN, 0.2]}, seed=1),
    ]
    score = entry_of(cells).scores[tail]
    assert (score.n_users, score.se) == (1, None)
    assert score.mean == pytest.approx(0.3)
    assert entry_of(cells).to_dict()["metrics"][tail]["mean"] == pytest.approx(0.3)
    nobody = [cell("ease", {"ndcg@10": [0.2], tail: [NAN]}, seed=s) for s in (0, 1)]
    found = entry_of(nobody).to_dict()["metrics"][tail]
    assert (found["mean"], found["users"], found["by_seed"]) == (None, 0, [None, None])


def test_differences_are_tested_on_averages_of_users() -> None:
    rng = np.random.default_rng(0)
    users = [np.arange(40), np.arange(20, 60)]  # 20 users are tested with both seeds
    values = {
        label: [rng.random(40) + gain for _ in users]
        for label, gain in (("best", 0.2), ("near", 0.15), ("far", -0.2))
    }
    comparison = conclude(
        cell(label, of_seed, seed=s, users=users[s].tolist())
        for label, both in values.items()
        for s, of_seed in enumerate(both)
    )

    def averages(label: str) -> list[float]:
        return [
            float(np.mean([values[label][s][users[s] == u][0] for s in (0, 1) if u in users[s]]))
            for u in range(60)
        ]

    order = [entry.label for entry in comparison.entries]
    assert order == sorted(values, key=lambda label: -np.mean(averages(label)))
    expected = {label: stats.ttest_rel(averages(label), averages(order[0])) for label in order[1:]}
    for entry in comparison.entries[1:]:
        test, wanted = entry.against_best, expected[entry.label]
        assert test is not None
        assert test.p == pytest.approx(wanted.pvalue)
        interval = wanted.confidence_interval()
        assert (test.low, test.high) == pytest.approx((interval.low, interval.high))
        assert test.n_users == 60
    # Holm for two: the smaller p-value times 2, the larger one once, and no less than the other
    small, large = sorted(e.pvalue for e in expected.values())
    corrected = sorted(e.p_adjusted or 0.0 for e in comparison.entries[1:])
    assert corrected == pytest.approx([min(1, 2 * small), min(1, max(2 * small, large))])


def test_holm_by_hand() -> None:
    # sorted: .01·4 = .04, .02·3 = .06, .03·2 = .06, .04·1 = .04 → no less than the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_models_that_lack_a_seed_are_tested_on_the_seeds_they_share() -> None:
    comparison = conclude(
        [
            cell("full", [0.5, 0.7], seed=0, users=[1, 2]),
            cell("full", [0.9, 0.9], seed=1, users=[3, 4]),
            cell("half", [0.4, 0.4], seed=0, users=[1, 2]),
        ],
        unfinished=["half"],
    )
    test = comparison.entries[1].against_best
    assert test is not None
    assert test.n_users == 2
    assert test.difference == pytest.approx(-0.2)  # (−.1 − .3) / 2: seed 1 is not in it
    assert "half was measured with 1 of 2 seeds." in comparison.notes


def test_models_that_lack_seeds_alike_are_named_in_one_note() -> None:
    comparison = conclude(
        [cell("full", [0.5, 0.7], seed=seed, users=[1, 2]) for seed in range(3)]
        + [cell("one", [0.1, 0.2], seed=0, users=[1, 2])]
        + [cell(name, [0.4, 0.3], seed=s, users=[1, 2]) for name in ("a", "b") for s in (0, 1)]
    )
    told = [note for note in comparison.notes if "seeds" in note]
    assert told == ["Measured with 2 of 3 seeds: a, b.", "one was measured with 1 of 3 seeds."]


def test_the_protocol_is_told_without_the_seed_that_differs() -> None:
    assert conclude([cell("a", [0.1, 0.2], seed=3)]).protocol == "invented, seed 3"
    assert conclude([cell("a", [0.1, 0.2], seed=s) for s in (0, 1)]).protocol == "invented"
    assert conclude([cell("a", [0.1, 0.2])], protocol="given").protocol == "given"


def test_published_figures_stand_beside_ours() -> None:
    figures = [
        {"model": "ease", "metric": "ndcg@10", "value": 0.42, "source": "a paper"},
        {"model": "ease", "metric": "recall@20", "value": 0.39, "source": "a paper"},
        {"model": "vasp", "metric": "ndcg@10", "value": 0.44, "source": "a paper"},
    ]
    comparison = conclude([cell("ease", [0.1, 0.3])], published=figures)
    assert [f["ours"] for f in comparison.to_dict()["published"]] == [
        pytest.approx(0.2),
        None,
        None,
    ]


def test_models_with_different_seeds_are_ranked_on_those_they_share() -> None:
    # for the users of seed 0, a is better by .05 each; its seed 1 has users who are hard to please
    better, low = np.linspace(0.5, 0.7, 50), np.linspace(0.2, 0.4, 50)
    cells = [
        cell("a", better, seed=0, lengths=[5] * 50),
        cell("a", low, seed=1, lengths=[5] * 50),
        cell("b", better - 0.05 + 0.01 * np.tile([-1, 1], 25), seed=0, lengths=[5] * 50),
    ]
    comparison = conclude(cells, unfinished=["b"])
    results = comparison.to_dict()
    assert [m["label"] for m in results["models"]] == ["a", "b"]
    means = [m["metrics"]["ndcg@10"]["mean"] for m in results["models"]]
    assert means == pytest.approx([0.6, 0.55])  # the table is in the order of its figures
    assert [m["by_history"][0]["mean"] for m in results["models"]] == pytest.approx([0.6, 0.55])
    assert (results["seeds"], [m["seeds"] for m in results["models"]]) == ([0], [[0, 1], [0]])
    verdict = results["verdict"]
    assert (verdict["best"], verdict["real"]) == ("a", True)
    assert "The lead is real (+0.0500" in verdict["text"]
    assert (
        "All figures are over seed 0, which all models share, and so is the verdict."
        in results["notes"]
    )
    assert best_by_kind(cells) == {"linear": "a"}
    assert comparison.per_user_frame().height == 150  # nothing is thrown away
    assert unfinished(results) == ["Not finished with all seeds: b (1 done)"]


def test_models_without_a_common_seed_have_no_verdict() -> None:
    comparison = conclude([cell("a", [0.5, 0.7], seed=0), cell("b", [0.1, 0.3], seed=1)])
    verdict = comparison.to_dict()["verdict"]
    assert (verdict["best"], verdict["real"], verdict["ship"]) == (None, False, None)
    assert "share no seed" in verdict["text"]
    assert [entry.against_best for entry in comparison.entries] == [None, None]
    assert not any(entry.tied for entry in comparison.entries)


def test_a_model_that_is_better_for_common_users_refutes_a_lead() -> None:
    # b lacks the values of the ten users for whom a is best: elsewhere b is above it
    a = [0.9] * 10 + [0.4] * 20
    b = [NAN] * 10 + [0.45, 0.46] * 10
    verdict = conclude([cell("a", a), cell("b", b)]).to_dict()["verdict"]
    assert (verdict["best"], verdict["real"]) == ("a", False)
    assert "The lead is not real: for the users that both have, b did better." in verdict["text"]


def test_searches_of_several_seeds_cost_as_much_as_all_of_them() -> None:
    def searched(l2: float, seconds: float, n: int, inverses: int | None = None) -> Searched:
        trials = tuple(Trial({"l2": l2 + i}, 0.5 - i / 10) for i in range(n))
        return Searched(trials[0], trials, "ndcg@10", {"l2": 1.0}, seconds, ("slow",), inverses)

    both = over_seeds([searched(1.0, 2.5, 3, 2), searched(9.0, 4.0, 4, 3)])
    assert (both.seconds, len(both.trials), both.inverses) == (6.5, 7, 5)
    assert (both.best.settings, both.notes) == ({"l2": 1.0}, ("slow",))
    assert over_seeds([searched(1.0, 2.5, 3)]) == searched(1.0, 2.5, 3)
    cells = [
        cell("ease", [0.1, 0.2], seed=s, settings={"l2": l2}) for s, l2 in enumerate((1.0, 9.0))
    ]
    comparison = conclude(cells, {"ease": both})
    told = comparison.to_dict()["models"][0]
    assert (told["tune_seconds"], told["trials"]) == (6.5, 7)
    (note,) = [note for note in comparison.notes if note.startswith("Tuned anew")]
    assert "ease had settings that differ by seed" in note
    assert not settings_by_seed(conclude(cells[:1], {"ease": both}).entries)
