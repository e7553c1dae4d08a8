"""The worked example of CONTRIBUTING.md, taken from the page, obeys the contract as it stands."""

from __future__ import annotations

import re
import sys
import types
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from shoal.base.recommender import Recommender
from shoal.models import registry
from shoal.testing import RecommenderContract
from shoal.testing.contract import from_dense

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


@cache
def example() -> type[Recommender]:
    """The first Python block of the page, imported as a module."""
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    module = types.ModuleType("contributed")
    sys.modules["contributed"] = module  # pydantic looks annotations up there
    exec(compile(block[1], str(PAGE), "exec"), module.__dict__)  # noqa: S102
    kind = module.__dict__["Company"]
    assert issubclass(kind, Recommender)
    return kind


class TestCompany(RecommenderContract):
    @pytest.fixture(autouse=True)
    def _registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As an entry point would, so that folders of the model can be loaded."""
        known = registry.models() | {"company": example()}
        monkeypatch.setattr(registry, "models", lambda: known)

    def model(self) -> Recommender:
        return example()()


def test_the_formula_by_hand() -> None:
    # users: {a, b}, {a, b}, {a, c}; shrink 1: a→b 2/(3+1), a→c 1/(3+1), b→a 2/(2+1), c→a 1/(1+1)
    log = from_dense([[1, 1, 0], [1, 1, 0], [1, 0, 1]])
    model = example()(shrink=1).fit(log)
    expected = [[0, 1 / 2, 1 / 4], [2 / 3, 0, 0], [1 / 2, 0, 0]]
    assert np.allclose(model.state()["weights"], expected)
