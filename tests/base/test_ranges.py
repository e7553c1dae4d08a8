"""Ranges of hyper-parameters."""

from __future__ import annotations

import pytest

from shoal.base.ranges import Choices, Range, declared
from shoal.errors import ModelError
from shoal.models.ease import EASE
from shoal.models.rdlae import RDLAE


def test_positions_of_a_linear_and_a_logarithmic_range() -> None:
    assert Range(0, 10).at(0.25) == 2.5
    assert Range(1, 100, "log").at(0.5) == 10
    assert Range(1, 9, whole=True).at(0.5) == 5
    assert Range(0.12345, 1).at(0) == 0.12345  # three digits, but never outside


@pytest.mark.parametrize(
    ("low", "high", "scale", "told"),
    [
        (2, 1, "linear", "reversed"),
        (0, 1, "log", "begin above 0"),
        (0, float("nan"), "linear", "no number"),
    ],
)
def test_bad_ranges(low: float, high: float, scale: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        Range(low, high, scale)  # type: ignore[arg-type]


def test_choices_name_one_at_least() -> None:
    with pytest.raises(ModelError, match="empty"):
        Choices(())


def test_what_a_model_declares() -> None:
    assert declared(EASE)["l2"] == Range(10, 10_000, "log")
    assert declared(RDLAE)["xi"] == Range(0, 0.9)
    assert "nonnegative" not in declared(EASE)
