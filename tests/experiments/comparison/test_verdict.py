"""The verdict from invented numbers: what is best, what to ship, whether depth pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from shoal.evaluation.significance import of_differences
from shoal.experiments.comparison.conclude import conclude
from shoal.experiments.comparison.depth import users_needed
from shoal.experiments.comparison.entry import entry_of
from shoal.experiments.comparison.verdict import cheapest
from shoal.run import duration
from tests.experiments.comparison.invented import cell

BASE = np.linspace(0.2, 0.6, 100)  # values of users; their mean is .4
WIDE = np.tile([-1.0, 1.0], 50)  # what users differ by, with a mean of 0


def verdict_of(*cells: Any) -> dict[str, Any]:
    return dict(conclude(cells).to_dict()["verdict"])


@pytest.mark.parametrize(
    ("gain", "noise", "seconds", "pays", "words"),
    [
        (+0.05, 0.01, 9.0, True, "depth pays here, by +0.0500"),
        (-0.05, 0.01, 9.0, False, "depth does not pay here (−0.0500"),
        # ± 1.98·.005/√99 ≈ .001 around 0: a lead of 1 % of .4, which is .004, is excluded
        (0.0, 0.005, 9.0, False, "no difference that matters"),
        (0.0, 0.005, 0.5, True, "no difference that matters"),
        # ± .02: a lead of .004 is possible
        (0.0, 0.1, 9.0, None, "undecided"),
    ],
)
def test_depth(gain: float, noise: float, seconds: float, pays: bool | None, words: str) -> None:
    found = verdict_of(
        cell("ease", BASE, fit_seconds=1.0),
        cell("mult-dae", BASE + gain + noise * WIDE, kind="deep", fit_seconds=seconds),
    )["depth"]
    assert (found["asked"], found["linear"], found["deep"]) == (True, "ease", "mult-dae")
    assert found["pays"] is pays
    assert words in found["text"]
    assert found["difference"] == pytest.approx(gain, abs=1e-12)
    wanted = stats.ttest_1samp(gain + noise * WIDE, 0).confidence_interval()
    assert found["ci95"] == pytest.approx([wanted.low, wanted.high])
    # the price of both is told
    assert f"mult-dae {0.4 + gain:.4f} in {duration(seconds)}" in found["text"]
    assert "ease 0.4000 in 1 s" in found["text"]


def test_an_open_question_says_how_many_users_would_answer_it() -> None:
    differences = 0.1 * WIDE
    needed = users_needed(of_differences(differences), 0.004)
    deviation = differences.std(ddof=1)
    # the power of a two-sided test with so many users is 80 %, and less with one in twenty fewer
    for n, enough in ((needed, True), (0.95 * needed, False)):
        shift = 0.004 / (deviation / math.sqrt(n))
        power = float(stats.norm.sf(stats.norm.ppf(0.975) - shift))
        assert (power >= 0.8) is enough
    found = verdict_of(cell("ease", BASE), cell("vasp", BASE + differences, kind="deep"))["depth"]
    assert f"about {round(needed, -2):,} users would be needed" in found["text"]


@pytest.mark.parametrize(
    ("kinds", "missing"),
    [
        (("linear", "baseline"), "no deep model"),
        (("deep", "baseline"), "no linear model"),
        (("baseline",), "no deep and no linear model"),
    ],
)
def test_a_table_without_both_says_that_the_question_was_not_asked(
    kinds: Sequence[str], missing: str
) -> None:
    cells = [cell(f"{kind}-model", BASE, kind=kind) for kind in kinds]
    found = verdict_of(*cells)["depth"]
    assert (found["asked"], found["pays"], found["difference"]) == (False, None, None)
    assert "was not asked" in found["text"]
    assert missing in found["text"]


def test_the_p_value_of_depth_is_that_of_the_table() -> None:
    rng = np.random.default_rng(1)
    others = [cell(f"linear-{i}", BASE - 0.1 - 0.01 * i + 0.02 * rng.random(100)) for i in range(5)]
    deep = cell("vasp", BASE + 0.006 + 0.03 * rng.standard_normal(100), kind="deep")
    comparison = conclude([cell("ease", BASE), deep, *others])
    second = comparison.entries[1]
    assert {comparison.entries[0].label, second.label} == {"vasp", "ease"}
    assert comparison.to_dict()["verdict"]["depth"]["p"] == second.p_adjusted
    assert second.against_best is not None
    assert comparison.to_dict()["verdict"]["depth"]["pays"] is (None if second.tied else True)


def test_a_lead_is_real_if_no_other_model_is_tied() -> None:
    far = cell("lae", BASE - 0.1 + 0.01 * WIDE)
    near = cell("edlae", BASE - 0.001 + 0.02 * WIDE)
    found = verdict_of(cell("ease", BASE), far)
    assert (found["best"], found["real"], found["ship"]) == ("ease", True, "ease")
    assert "The lead is real (+0.1000" in found["text"]
    found = verdict_of(cell("ease", BASE), far, near)
    assert found["real"] is False
    assert "The lead over edlae (+0.0010" in found["text"]
    assert "could be chance" in found["text"]


@pytest.mark.parametrize(("n", "told"), [(3, ""), (4, " and 1 other"), (5, " and 2 others")])
def test_three_models_are_named_whose_difference_could_be_chance(n: int, told: str) -> None:
    near = [cell(f"near-{i}", BASE - 0.001 + 0.02 * WIDE) for i in range(n)]
    found = verdict_of(cell("ease", BASE), *near)
    assert f"{told} could be chance" in found["text"]
    assert sum(f"near-{i} (" in found["text"] for i in range(n)) == 3
    assert ("other" in found["text"]) == bool(told)


def test_the_cheapest_within_the_noise_is_shipped() -> None:
    near = BASE - 0.001 + 0.02 * WIDE
    found = verdict_of(
        cell("vasp", BASE, kind="deep", fit_seconds=60.0),
        cell("ease", near, fit_seconds=0.3, request_seconds=0.0004, peak_bytes=7_000_000),
        cell("popularity", BASE - 0.2 + 0.01 * WIDE, kind="baseline", fit_seconds=0.001),
    )
    assert found["ship"] == "ease"  # popularity costs less, but its difference is no chance
    assert (
        "Ship ease, the cheapest within the noise of the best: it fits in 300 ms with 7.0 MB"
        in (found["text"])
    )
    assert "answers a request in 0.4 ms" in found["text"]
    tied = cell("popularity", near, kind="baseline", fit_seconds=0.001)
    assert verdict_of(cell("ease", BASE, fit_seconds=3.0), tied)["ship"] == "popularity"


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        ([(10.0, 5e6), (1.0, 90e6)], 1),  # time goes first
        ([(1.0, 90e6), (1.4, 5e6)], 1),  # 40 % longer is as fast: memory decides
        ([(0.010, 90e6), (0.105, 5e6)], 1),  # so are 0.095 s
        ([(1.0, 90e6), (1.6, 5e6)], 0),
        ([(0.9, 5.9e6), (0.9, 5e6)], 0),  # 0.9 MB are no difference: the better one
    ],
)
def test_what_is_cheapest(costs: list[tuple[float, float]], chosen: int) -> None:
    entries = [
        entry_of([cell(f"m{i}", BASE, fit_seconds=seconds, peak_bytes=int(n))])
        for i, (seconds, n) in enumerate(costs)
    ]
    assert cheapest(entries) is entries[chosen]


def test_one_model_and_one_user() -> None:
    alone = verdict_of(cell("ease", BASE))
    assert (alone["best"], alone["real"], alone["ship"]) == ("ease", False, "ease")
    assert "the only model" in alone["text"]
    found = verdict_of(cell("ease", [0.4]), cell("vasp", [0.5], kind="deep", fit_seconds=5.0))
    assert (found["best"], found["real"]) == ("vasp", False)
    assert found["depth"]["pays"] is None
    assert found["depth"]["ci95"] is None
    assert "one user tells nothing of others" in found["depth"]["text"]


def test_models_with_the_same_values() -> None:
    found = verdict_of(cell("edlae", BASE), cell("ease", BASE))
    assert found["real"] is False
    assert "ease (no difference for any user)" in found["text"]


def test_a_metric_that_counts_nobody_decides_nothing() -> None:
    nobody = [np.nan, np.nan]
    comparison = conclude([cell("ease", nobody), cell("lae", nobody)])
    found = comparison.to_dict()["verdict"]
    assert (found["best"], found["ship"]) == (None, None)
    assert found["text"] == "ndcg@10 counts no user."
    best = conclude([cell("lae", nobody), cell("ease", [0.1, 0.2])])
    assert [entry.label for entry in best.entries] == ["ease", "lae"]


def test_no_model_could_be_fitted() -> None:
    comparison = conclude([], metrics=["ndcg@10"], refused={"ease": "too large"})
    assert comparison.verdict == "No model could be fitted."
    assert comparison.to_dict()["refused"] == {"ease": "too large"}
    assert "ease was left out: too large" in str(comparison)


def test_a_deciding_metric_without_users_tests_nothing() -> None:
    found = conclude([_overall("ease", 0.4), _overall("vasp", 0.5, kind="deep")]).to_dict()[
        "verdict"
    ]
    assert found["best"] == "vasp"
    assert found["real"] is False
    assert "has no values per user" in found["text"]
    assert found["depth"]["pays"] is None


def _overall(label: str, value: float, **more: Any) -> Any:
    """A cell whose first metric has no values per user."""
    whole = cell(label, {"ndcg@10": [0.1, 0.2]}, overall={"coverage@10": value}, **more)
    scores = whole.evaluation.scores
    scores["ndcg@10"] = scores.pop("ndcg@10")  # now the second one
    return whole


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00061, "0.61 ms"),
        (0.0099, "9.9 ms"),
        (0.00996, "10 ms"),
        (0.027, "27 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (3.24, "3.2 s"),
        (119, "119 s"),
        (720, "12.0 min"),
    ],
)
def test_times_below_a_second_are_in_milliseconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_cheap_deep_model_that_may_be_much_worse_is_undecided() -> None:
    # d = −.0195 with an interval of ± .0209: no lead of .004 is possible, but a loss of .04 is
    differences = -0.0195 + 0.1048 * WIDE
    interval = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((-0.0404, 0.0014), abs=1e-4)
    found = verdict_of(
        cell("ease", BASE, fit_seconds=5.0),
        cell("mult-dae", BASE + differences, kind="deep", fit_seconds=1.0),
    )["depth"]
    assert found["pays"] is None
    assert found["text"].endswith("depth is cheaper to fit, but up to 0.0404 worse.")


def test_no_fewer_users_are_asked_for_than_there_are() -> None:
    # s = .01334: (2.802 · .01334 / .004)² = 87.3 users would do where there are 100; but the
    # interval .002 ± .00265 holds both 0 and the lead of .004
    differences = 0.002 + 0.01327 * WIDE
    assert users_needed(of_differences(differences), 0.004) == 88
    found = verdict_of(cell("ease", BASE), cell("vasp", BASE + differences, kind="deep"))["depth"]
    assert found["pays"] is None
    assert found["text"].endswith("and 100 users do not show it.")
