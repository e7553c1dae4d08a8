"""`RayExecutor`: does tasks on the machines of a Ray cluster."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from shoal.cluster.faults import as_shoal_error
from shoal.cluster.fitting import fit
from shoal.cluster.machines import Machine, machines
from shoal.errors import MemoryBudgetError
from shoal.executor import ONE_THREAD, Executor, Handle, Needs
from shoal.kernels.threads import use_threads
from shoal.run import Run, how_many, human_bytes

RETRIES = 100  # of a task whose worker was lost; a failure of the task itself is not retried


def _perform(function: Callable[..., Any], threads: int, *arguments: Any) -> Any:
    """Do a task in a worker, with the threads that it was promised."""
    with use_threads(threads, fit=True):
        return function(*arguments)


class RayExecutor(Executor):
    """Does tasks on the cluster that this process is connected to (`shoal.cluster.connecting`).

    Parameters
    ----------
    at_close : callable, optional
        What is to be done once this process has left the cluster.
    stay : bool
        Whether `close` leaves this process connected, as it was before.
    """

    trains_together: ClassVar[bool] = True

    def __init__(self, *, at_close: Callable[[], None] | None = None, stay: bool = False) -> None:
        self._perform = ray.remote(_perform)
        self._at_close, self._stay = at_close, stay
        if not stay:
            atexit.register(self.close)

    @property
    def n_workers(self) -> int:
        """Cores of all machines that are there now."""
        return max(1, sum(machine.cores for machine in machines()))

    @property
    def threads_of_a_machine(self) -> int:
        """Cores of the smallest machine that has any."""
        return max(1, min((m.cores for m in machines() if m.cores), default=1))

    @property
    def threads_of_the_largest(self) -> int:
        """Cores of the machine with the most memory."""
        return max(1, _largest(machines(), Needs()).cores)

    def check_room(self, what: str, largest: int, total: int) -> None:
        """Refuse values for which the object stores of the machines are too small."""
        there = machines()
        smallest = min((machine.store for machine in there if machine.store), default=0)
        together = sum(machine.store for machine in there)
        if largest <= smallest and total <= together:
            return
        if largest > smallest:
            found = f"a machine's object store has {human_bytes(smallest)}"
            needed = f"{what} needs {human_bytes(largest)} on each machine that works on it"
        else:
            found = f"the object stores of {how_many(len(there), 'machine')} have together "
            found += human_bytes(together)
            needed = f"{what} needs {human_bytes(total)}"
        raise MemoryBudgetError(
            f"{needed}, and {found}. Start the machines with more (ray start "
            f"--object-store-memory=BYTES; --on ray: a larger --memory), or take more of them"
        )

    @property
    def memory_of_a_machine(self) -> int:
        """Bytes for tasks on the machine that has the fewest, of those that have cores."""
        return min((machine.memory for machine in machines() if machine.cores), default=0)

    @property
    def memory_of_the_largest(self) -> int:
        """Bytes that Ray gives to tasks on the machine with the most memory."""
        return _largest(machines(), Needs()).memory

    def __reduce__(self) -> tuple[Any, ...]:
        """In a worker: an executor of the cluster that the worker belongs to."""
        return partial(RayExecutor, stay=True), ()

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
        if needs.gpus:
            options["num_gpus"] = needs.gpus
        if needs != ONE_THREAD:
            largest = _largest(machines(), needs)
            if needs.largest:
                options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(
                    largest.node, soft=True
                )
        return self._perform.options(**options).remote(function, needs.threads, *arguments)

    def put(self, value: Any) -> Handle:
        """Keep a value in the object store of this machine; others fetch it once."""
        try:
            return ray.put(value)
        except ray.exceptions.RayError as error:
            raise as_shoal_error(error) from error

    def get(self, handle: Handle) -> Any:
        """The value of a handle; arrays are views of the object store."""
        try:
            return ray.get(handle)
        except ray.exceptions.RayError as error:
            known = as_shoal_error(error)
            raise known from (None if known is getattr(error, "cause", None) else error)

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

    def cancel(self, handles: Sequence[Handle]) -> None:
        """End the workers of tasks that are running, and forget those that wait."""
        for handle in handles:
            ray.cancel(handle, force=True)

    def fit(self, model: Any, interactions: Any, validation: Any, run: Run) -> Any:
        """Fit a model with its work divided among the machines."""
        return fit(self, model, interactions, validation, run)

    def close(self) -> None:
        """Leave the cluster; one that was started for this process ends."""
        if self._stay:
            return
        atexit.unregister(self.close)
        ray.shutdown()
        if self._at_close is not None:
            self._at_close()
            self._at_close = None


def _largest(there: list[Machine], needs: Needs) -> Machine:
    """The machine with the most memory, of those that can do a task at all.

    Raises
    ------
    MemoryBudgetError
        None can: Ray would let the task wait for ever.
    """
    able = [
        machine
        for machine in there
        if machine.cores >= needs.threads
        and machine.memory >= needs.memory
        and machine.gpus >= needs.gpus
    ]
    if able:
        return max(able, key=lambda machine: (machine.memory, machine.cores, machine.node))
    wanted = f"{how_many(needs.threads, 'core')}, {human_bytes(needs.memory)} of memory"
    if needs.gpus:
        wanted += f", {how_many(needs.gpus, 'GPU')}"
    raise MemoryBudgetError(
        f"a task needs {wanted}, and no machine has it: there are {_listed(there)}. Start a "
        "larger one, or take a smaller model or log"
    )


def _listed(there: list[Machine]) -> str:
    return "; ".join(machine.described for machine in there) or "no machines"
