"""Importance of hyper-parameters, of functions whose variance is worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shoal.base.ranges import Choices, Range, Space
from shoal.experiments.tuning.importance import importance
from shoal.experiments.tuning.trials import FAILED, Trial

SPACE: Space = {"x": Range(0, 1), "y": Range(1, 100, "log"), "z": Range(-1, 1)}


def trials(count: int, seed: int = 0) -> list[Trial]:
    """Scores 3·x + log10(y): on a uniform x the variance is 9/12, on a uniform log10(y) 4/12."""
    rng = np.random.default_rng(seed)
    points = [
        {"x": rng.random(), "y": 10 ** (2 * rng.random()), "z": 2 * rng.random() - 1}
        for _ in range(count)
    ]
    return [Trial(p, 3 * p["x"] + math.log10(p["y"])) for p in points]


def test_shares_of_the_variance() -> None:
    found = importance(trials(40), SPACE)
    assert found == pytest.approx({"x": 9 / 13, "y": 4 / 13, "z": 0}, abs=1e-3)
    assert list(found) == ["x", "y", "z"]


def test_trials_need_not_be_spread_evenly() -> None:
    # a sampler that looks near the best point sees other values, of the same function
    near = [t for t in trials(400) if t.settings["x"] > 0.6]
    assert importance(near, SPACE) == pytest.approx({"x": 9 / 13, "y": 4 / 13, "z": 0}, abs=1e-3)


def test_a_parabola_and_a_product() -> None:
    # on z in [-1, 1]: Var z² = 1/5 − 1/9 = 4/45; Var of (2x−1)·z = 1/9, which counts for both
    rng = np.random.default_rng(1)
    points = [{"x": rng.random(), "z": 2 * rng.random() - 1} for _ in range(60)]
    scores = [Trial(p, p["z"] ** 2 + (2 * p["x"] - 1) * p["z"]) for p in points]
    found = importance(scores, {"x": SPACE["x"], "z": SPACE["z"]})
    whole = 4 / 45 + 2 / 9
    assert found == pytest.approx({"z": (4 / 45 + 1 / 9) / whole, "x": 1 / 9 / whole}, abs=1e-3)


def test_choices() -> None:
    # three choices worth 0, 0 and 3: variance 2; x in steps of 0 and 1 is not in the score
    space: Space = {"kind": Choices(("a", "b", "c")), "x": Range(0, 1)}
    rng = np.random.default_rng(2)
    points = [{"kind": "abc"[rng.integers(3)], "x": rng.random()} for _ in range(30)]
    scores = [Trial(p, 3.0 * (p["kind"] == "c") + 2 * math.sqrt(3) * p["x"]) for p in points]
    found = importance(scores, space)  # Var of 2·√3·x is 1
    assert found == pytest.approx({"kind": 2 / 3, "x": 1 / 3}, abs=1e-3)


def test_when_it_cannot_be_told() -> None:
    assert importance(trials(7), SPACE) == {}
    flat = [Trial(t.settings, 1.0) for t in trials(30)]
    assert importance(flat, SPACE) == {}
    failed = [Trial(t.settings, -math.inf, state=FAILED) for t in trials(30)]
    assert importance(failed, SPACE) == {}
    rng = np.random.default_rng(3)
    noise = [Trial(t.settings, float(rng.normal())) for t in trials(300)]
    assert importance(noise, SPACE) == {}
