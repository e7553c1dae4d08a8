"""Where independent pieces of work are done: in this process, or on the machines of a cluster.

A task is a function of a module (workers import it by its name) and its arguments. What a task
returns is known by a handle, which can be an argument of other tasks: they begin when it is there.
The same tasks with the same arguments give the same bits wherever they are done, so a result does
not depend on the number of workers, and a task whose worker was lost is done again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Self, TypeAlias

Handle: TypeAlias = Any  # stands for a value that is, or will be, somewhere


@dataclass(frozen=True)
class Needs:
    """What a task takes of the machine that does it.

    Parameters
    ----------
    threads : int
        Cores; BLAS and shoal's kernels get as many threads in the task.
    memory : int
        Bytes beside its arguments; 0 if it is not worth counting.
    gpus : int
        GPUs that the task has for itself.
    largest : bool
        Whether the task must run on the machine with the most memory.
    """

    threads: int = 1
    memory: int = 0
    largest: bool = False
    gpus: int = 0


ONE_THREAD = Needs()


class Executor(ABC):
    """Does tasks."""

    # whether it can start processes on several machines that train one model together
    trains_together: ClassVar[bool] = False

    @property
    @abstractmethod
    def n_workers(self) -> int:
        """Number of tasks of one thread that can run at once now."""

    @property
    @abstractmethod
    def threads_of_a_machine(self) -> int:
        """Threads that a task can have at most: the cores of the smallest machine."""

    @property
    @abstractmethod
    def memory_of_a_machine(self) -> int:
        """Bytes that a task can have at most: the memory of the smallest machine."""

    @property
    def threads_of_the_largest(self) -> int:
        """Threads that a task can have on the machine with the most memory."""
        return self.threads_of_a_machine

    @property
    def memory_of_the_largest(self) -> int:
        """Bytes that a task can take on the machine with the most memory."""
        return self.memory_of_a_machine

    def check_room(self, what: str, largest: int, total: int) -> None:  # noqa: B027
        """Refuse work whose values the machines cannot hold, before it begins.

        Parameters
        ----------
        what : str
            The values, as a message names them: "the log", "the tiles of the inverse".
        largest : int
            Bytes of the largest value that is handed over as a whole.
        total : int
            Bytes of all values that are held at once.

        Raises
        ------
        MemoryBudgetError
            They have not the room.
        """

    @abstractmethod
    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        needs: Needs = ONE_THREAD,
        n_results: int = 1,
    ) -> Any:
        """Have a task done.

        Parameters
        ----------
        function : callable
            Of a module of shoal, so that workers can import it. It must not change its arguments.
        *arguments
            Values, or handles: a handle that is an argument itself is replaced by its value; one
            inside a list is handed over as it is.
        needs : Needs
        n_results : int
            Where it is above 1, the function returns a tuple of so many, each with its own handle.

        Returns
        -------
        Handle, or list of Handle for several results
        """

    @abstractmethod
    def put(self, value: Any) -> Handle:
        """Keep a value where all workers find it."""

    @abstractmethod
    def get(self, handle: Handle) -> Any:
        """The value of a handle, once it is there; arrays must not be written to.

        Raises
        ------
        ShoalError
            What the task raised; or that a machine was lost, or had too little memory.
        """

    @abstractmethod
    def as_completed(self, handles: Sequence[Handle]) -> Iterator[tuple[int, Any]]:
        """Yield the position and the value of each handle, as they become known."""

    @abstractmethod
    def wait(self, handles: Sequence[Handle], at_most: int = 0) -> list[int]:
        """Wait until at most so many values are still to come; nothing is fetched.

        Returns
        -------
        list of int
            The positions of the handles whose values are still to come. A task that failed is done.
        """

    def map(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *common: Any,
        needs: Needs = ONE_THREAD,
    ) -> list[Any]:
        """The values of ``function(item, *common)`` for each item, in their order."""
        handles = [self.submit(function, item, *common, needs=needs) for item in items]
        return [self.get(handle) for handle in handles]

    def stream(
        self,
        function: Callable[..., Any],
        calls: Iterable[tuple[Any, ...]],
        *common: Any,
        needs: Needs = ONE_THREAD,
    ) -> Iterator[tuple[int, Any]]:
        """Yield the position and the value of ``function(*call, *common)`` as they become known.

        Calls are taken a few at a time: two for each task that can run at once, counted again
        whenever one has ended. So their arguments never all exist at once, and machines that join
        late get work.

        Parameters
        ----------
        function : callable
        calls : iterable of tuples
            The first arguments of each task.
        *common
            The last arguments of all of them.
        needs : Needs
        """
        remaining = enumerate(calls)
        waiting: dict[int, Handle] = {}
        while True:
            room = 2 * max(1, self.n_workers // needs.threads) - len(waiting)
            for position, call in islice(remaining, max(0, room)):
                waiting[position] = self.submit(function, *call, *common, needs=needs)
            if not waiting:
                return
            positions = list(waiting)
            place, value = next(self.as_completed(list(waiting.values())))
            del waiting[positions[place]]
            yield positions[place], value

    @abstractmethod
    def fit(self, model: Any, interactions: Any, validation: Any, run: Any) -> Any:
        """Fit a model, with the work divided as suits its family.

        Parameters
        ----------
        model : Recommender
            Unfitted; it is fitted afterwards.
        interactions : Interactions
        validation : HeldOut, Interactions or None
        run : Run
            Its executor is this one.

        Returns
        -------
        Recommender
            `model` itself.
        """

    def cancel(self, handles: Sequence[Handle]) -> None:  # noqa: B027 - what is done is done
        """Give up tasks that have not ended, and that nobody waits for any more."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Let go of all workers, and of all that they hold."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
