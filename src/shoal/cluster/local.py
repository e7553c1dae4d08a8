"""`LocalExecutor`: does tasks at once in this process, as the measure of all other executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.cluster.fitting import fit
from shoal.errors import ShoalError
from shoal.executor import ONE_THREAD, Executor, Handle, Needs
from shoal.kernels.threads import cores, use_threads
from shoal.run import Run


@dataclass(frozen=True)
class Value:
    """The handle of a value that is there."""

    value: Any


class LocalExecutor(Executor):
    """Does each task when it is submitted.

    Parameters
    ----------
    threads : int, optional
        What a task can have; every core, unless given.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or cores()

    @property
    def n_workers(self) -> int:
        """One task runs at a time."""
        return 1

    @property
    def threads_of_a_machine(self) -> int:
        """The threads that this executor was given."""
        return self._threads

    @property
    def memory_of_a_machine(self) -> int:
        """What a fit here may take, unless it is told otherwise."""
        return Run().memory_budget

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        needs: Needs = ONE_THREAD,
        n_results: int = 1,
    ) -> Any:
        """Do a task now, with all threads whatever it needs."""
        values = [a.value if isinstance(a, Value) else a for a in arguments]
        errors = [value for value in values if isinstance(value, ShoalError)]
        if errors:  # of a task before; `get` raises it, as where tasks are done elsewhere
            return self._failed(errors[0], n_results)
        try:
            with use_threads(self._threads, fit=True):
                result = function(*values)
        except ShoalError as error:
            return self._failed(error, n_results)
        return Value(result) if n_results == 1 else [Value(part) for part in result]

    @staticmethod
    def _failed(error: ShoalError, n_results: int) -> Any:
        return Value(error) if n_results == 1 else [Value(error)] * n_results

    def put(self, value: Any) -> Handle:
        """A handle of a value."""
        return Value(value)

    def get(self, handle: Handle) -> Any:
        """The value of a handle."""
        if isinstance(handle.value, ShoalError):
            raise handle.value
        return handle.value

    def as_completed(self, handles: Sequence[Handle]) -> Iterator[tuple[int, Any]]:
        """All values, in their order."""
        for position, handle in enumerate(handles):
            yield position, self.get(handle)

    def wait(self, handles: Sequence[Handle], at_most: int = 0) -> list[int]:
        """Nothing is still to come."""
        return []

    def fit(self, model: Any, interactions: Any, validation: Any, run: Run) -> Any:
        """Fit a model as on a cluster, with all tasks done here."""
        return fit(self, model, interactions, validation, run)
