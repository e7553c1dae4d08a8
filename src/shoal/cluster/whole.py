"""What is computed from all rows of a divided log at once: on the machine with the most memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shoal.cluster.sharded import ShardedLog
from shoal.executor import Executor, Needs
from shoal.run import Run, Silent


def on_whole(
    executor: Executor, function: Callable[..., Any], model: Any, log: ShardedLog, run: Run
) -> Any:
    """The value of ``function(model, log, run)``, with the rows together where it is computed.

    The machine that asks gets the value alone, and no rows.
    """
    there = replace(run, executor=None, progress=Silent())
    needs = Needs(executor.threads_of_a_machine, largest=True)
    return executor.get(
        executor.submit(_with_whole, function, model, log, there, executor, needs=needs)
    )


def _with_whole(
    function: Callable[..., Any], model: Any, log: ShardedLog, run: Run, executor: Executor
) -> Any:
    return function(model, log.whole(executor), run)
