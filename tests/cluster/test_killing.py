"""Tasks whose workers are killed are done again, with the same result."""

from __future__ import annotations

import math

import pytest

from tests.cluster.killing import kills


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("two_nodes")
def test_tasks_of_killed_workers_are_done_again() -> None:
    from shoal.cluster.ray_executor import RayExecutor

    numbers = [120_000 + n for n in range(16)]  # some tenths of a second each
    with kills(seed=5, times=8, within=0.2, task="factorial") as killed:
        found = RayExecutor().map(math.factorial, numbers)
    assert len(killed) == 8
    assert found == [math.factorial(n) for n in numbers]
