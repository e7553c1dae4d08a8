"""For authors of models: a test class that checks whether a model keeps the contract.

Needs pytest (``pip install shoal[test]``).
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("shoal.testing.contract")

from shoal.testing.contract import RecommenderContract, from_dense  # noqa: E402

__all__ = ["RecommenderContract", "from_dense"]
