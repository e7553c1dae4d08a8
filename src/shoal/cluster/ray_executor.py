"""`RayExecutor`: does tasks on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from shoal.cluster.fitting import fit
from shoal.errors import ShoalError
from shoal.executor import ONE_THREAD, Executor, Handle, Needs
from shoal.kernels.threads import use_threads
from shoal.run import Run

RETRIES = 100  # of a task whose worker was lost; a failure of the task itself is not retried


def _perform(function: Callable[..., Any], threads: int, *arguments: Any) -> Any:
    """Do a task in a worker, with the threads that it was promised."""
    with use_threads(threads, fit=True):
        return function(*arguments)


class RayExecutor(Executor):
    """Does tasks on the cluster that this process is connected to (`shoal.cluster.connecting`)."""

    def __init__(self) -> None:
        self._perform = ray.remote(_perform)

    @property
    def n_workers(self) -> int:
        """Cores of all machines that are there now."""
        return max(1, int(sum(node["Resources"].get("CPU", 0) for node in self._nodes())))

    @property
    def threads_of_a_machine(self) -> int:
        """Cores of the smallest machine that has any."""
        cores = [int(node["Resources"].get("CPU", 0)) for node in self._nodes()]
        return max(1, min((count for count in cores if count), default=1))

    @property
    def memory_of_the_largest(self) -> int:
        """Bytes that Ray gives to tasks on the machine with the most memory."""
        return max(int(node["Resources"].get("memory", 0)) for node in self._nodes())

    def __reduce__(self) -> tuple[Any, ...]:
        """In a worker: an executor of the cluster that the worker belongs to."""
        return RayExecutor, ()

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        needs: Needs = ONE_THREAD,
        n_results: int = 1,
    ) -> Any:
        """Have a task done by a worker; one that is lost is replaced."""
        options: dict[str, Any] = {
            "num_cpus": needs.threads,
            "num_returns": n_results,
            "max_retries": RETRIES,
            "name": function.__name__,
        }
        if needs.memory:
            options["memory"] = needs.memory
        if needs.largest:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
                self._largest(), soft=True
            )
        return self._perform.options(**options).remote(function, needs.threads, *arguments)

    def put(self, value: Any) -> Handle:
        """Keep a value in the object store of this machine; others fetch it once."""
        return ray.put(value)

    def get(self, handle: Handle) -> Any:
        """The value of a handle; arrays are views of the object store."""
        try:
            return ray.get(handle)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ShoalError):
                raise error.cause from None
            raise

    def as_completed(self, handles: Sequence[Handle]) -> Iterator[tuple[int, Any]]:
        """Yield position and value of each handle as it becomes known."""
        position = {handle: place for place, handle in enumerate(handles)}
        waiting = list(handles)
        while waiting:
            ready, waiting = ray.wait(waiting)
            for handle in ready:
                yield position[handle], self.get(handle)

    def wait(self, handles: Sequence[Handle], at_most: int = 0) -> list[int]:
        """The positions of the handles whose values are still to come, once they are few."""
        if not handles:
            return []
        wanted = max(1, len(handles) - at_most)
        patience = None if len(handles) > at_most else 0
        there = set(
            ray.wait(list(handles), num_returns=wanted, timeout=patience, fetch_local=False)[0]
        )
        return [place for place, handle in enumerate(handles) if handle not in there]

    def fit(self, model: Any, interactions: Any, validation: Any, run: Run) -> Any:
        """Fit a model with its work divided among the machines."""
        return fit(self, model, interactions, validation, run)

    def close(self) -> None:
        """Leave the cluster; one that was started for this process ends."""
        ray.shutdown()

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in ray.nodes() if node["Alive"]]

    def _largest(self) -> str:
        largest = max(self._nodes(), key=lambda node: node["Resources"].get("memory", 0))
        return str(largest["NodeID"])
