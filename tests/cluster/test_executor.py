"""Tasks: arguments, several results, errors and order, the same on both executors."""

from __future__ import annotations

import numpy as np
import pytest

import shoal
from shoal.cli.parse import parse_bytes
from shoal.errors import ShoalError
from shoal.executor import Executor
from shoal.run import Run
from shoal.testing import toys


def test_a_model_that_cannot_be_divided_has_the_bits_of_a_fit_here(executor: Executor) -> None:
    log = toys.from_dense(toys.two_groups())
    here = shoal.EASE(l2=2).fit(log, run=Run(threads=1))
    there = shoal.EASE(l2=2).fit(log, run=Run(threads=1, executor=executor))
    assert np.array_equal(here.state()["weights"], there.state()["weights"])


def test_results_are_handles_of_their_own_and_arguments_of_other_tasks(executor: Executor) -> None:
    quotient, rest = executor.submit(divmod, 17, 5, n_results=2)
    again = executor.submit(divmod, quotient, rest)
    assert executor.get(again) == (1, 1)


def test_the_error_of_a_task_is_the_error_of_get(executor: Executor) -> None:
    with pytest.raises(ShoalError, match="8 parsecs"):
        executor.get(executor.submit(parse_bytes, "8 parsecs"))


def test_map_keeps_the_order_and_as_completed_names_the_position(executor: Executor) -> None:
    assert executor.map(divmod, [7, 8, 9], 4) == [(1, 3), (2, 0), (2, 1)]
    handles = [executor.submit(divmod, n, 4) for n in (7, 8, 9)]
    assert dict(executor.as_completed(handles)) == {0: (1, 3), 1: (2, 0), 2: (2, 1)}
