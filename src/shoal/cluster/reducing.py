"""Results of many tasks made into one, a few at a time and in an order that is always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from shoal.executor import ONE_THREAD, Executor, Handle, Needs

AT_ONCE = 16  # results that one task takes


def reduced(
    executor: Executor,
    function: Callable[..., Any],
    handles: Sequence[Handle],
    *common: Any,
    needs: Needs = ONE_THREAD,
) -> Handle:
    """The handle of ``function(function(a, b, …), function(…), …)`` over all values.

    No machine takes more than `AT_ONCE` values at a time.

    Parameters
    ----------
    executor : Executor
    function : callable
        Takes any number of values and makes one of them.
    handles : sequence of Handle
        At least one.
    *common
        Arguments that stand before the values in each call.
    needs : Needs
    """
    while True:
        groups = [handles[k : k + AT_ONCE] for k in range(0, len(handles), AT_ONCE)]
        handles = [executor.submit(function, *common, *group, needs=needs) for group in groups]
        if len(handles) == 1:
            return handles[0]


def added(*arrays: NDArray[Any]) -> NDArray[Any]:
    """Arrays of several parts added up."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total
