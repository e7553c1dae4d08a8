"""Pieces of work that are under way at once: tasks of an executor, or done here one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.executor import ONE_THREAD, Executor, Handle, Needs
from shoal.run import Run, Silent

T = TypeVar("T")


class SideBySide(Generic[T]):
    """Work that has begun; each piece belongs to something, such as the proposal that is tried.

    Parameters
    ----------
    executor : Executor or None
        None: each piece is done when it begins, in this process.
    needs : Needs
        What each piece takes of a machine, if `begin` is not told otherwise. So many are under way
        at once as the machines that are there now can do.
    """

    def __init__(self, executor: Executor | None, needs: Needs = ONE_THREAD) -> None:
        self.executor, self._needs = executor, needs
        self._under_way: list[tuple[T, Handle]] = []
        self._last: tuple[Any, Handle] | None = None  # what `put` kept

    @property
    def has_room(self) -> bool:
        """Whether a further piece would be done at once."""
        most = 1 if self.executor is None else how_many_at_once(self.executor, self._needs)
        return len(self._under_way) < most

    @property
    def under_way(self) -> list[T]:
        """Whose work has begun, and is not known to have ended."""
        return [owner for owner, _ in self._under_way]

    def put(self, value: Any) -> Handle:
        """Keep an argument of several pieces where all workers find it; the same one only once."""
        if self.executor is None:
            return value
        if self._last is None or self._last[0] is not value:
            self._last = value, self.executor.put(value)
        return self._last[1]

    def begin(
        self,
        owner: T,
        work: Callable[..., Any],
        *arguments: Any,
        needs: Needs | None = None,
        n_results: int = 1,
    ) -> None:
        """Begin a piece of work.

        Parameters
        ----------
        owner
            What `ended` gives back with the result.
        work : callable
            A function of a module.
        *arguments
            Values, or what `put` returned.
        needs : Needs, optional
            Where it takes something else than the others.
        n_results : int
            With 2, the work returns two values, and `ended` gives the first one and a function that
            fetches the second: it stays where it was made if nobody wants it.
        """
        if self.executor is None:
            self._under_way.append((owner, None))  # while it is done, and if it is interrupted
            done = work(*arguments)
            self._under_way[-1] = owner, done if n_results == 1 else (done[0], lambda: done[1])
        else:
            needs = needs or self._needs
            handle = self.executor.submit(work, *arguments, needs=needs, n_results=n_results)
            self._under_way.append((owner, handle))

    def ended(self) -> tuple[T, Any]:
        """Wait until a piece has ended; whose it was, and its result.

        Raises
        ------
        ShoalError
            What the work raised.
        """
        if self.executor is None:
            return self._under_way.pop(0)
        place, result = next(iter(self.executor.as_completed(self._first_handles())))
        owner, handle = self._under_way.pop(place)
        if isinstance(handle, list):
            return owner, (result, partial(self.executor.get, handle[1]))
        return owner, result

    def __len__(self) -> int:
        return len(self._under_way)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give up what is under way, if an error or Ctrl-C ends the block."""
        if self.executor is not None and self._under_way:
            self.executor.cancel(self._first_handles())

    def _first_handles(self) -> list[Handle]:
        """A handle of each piece."""
        return [h[0] if isinstance(h, list) else h for _, h in self._under_way]


def side_by_side(run: Run, model: Recommender, log: Interactions) -> Executor | None:
    """The executor of a run, if fits of a model are to be tasks of it; else None.

    Where a fit has room on the smallest machine, and in the memory of the run, fits run side by
    side, each on one machine. Where it has none, one follows the other, and each is divided among
    the machines (`Executor.fit`).

    Parameters
    ----------
    run : Run
    model : Recommender
        Unfitted.
    log : Interactions
    """
    executor = run.executor
    if executor is None:
        return None
    room = executor.memory_of_a_machine
    if run.memory is not None:
        room = min(room, run.memory)
    return executor if model.bytes_for(log) <= room else None


def needs_of_fit(run: Run, model: Recommender, log: Interactions) -> Needs:
    """What a fit takes of the machine that does it.

    It has the threads of the run; where that names none, all of a machine, as it would here.
    """
    needs = needs_of_a_machine(run)
    if run.executor is None:
        return needs
    return replace(needs, memory=min(model.bytes_for(log), run.executor.memory_of_a_machine))


def needs_of_a_machine(run: Run) -> Needs:
    """The threads that a fit gets, and the GPU, of whatever model."""
    if run.executor is None:
        return ONE_THREAD
    most = run.executor.threads_of_a_machine
    return Needs(min(run.threads or most, most), gpus=int(run.device.startswith("cuda")))


def in_a_task(run: Run, needs: Needs) -> Run:
    """The run of a piece of work on a worker, which neither divides it nor shows its progress."""
    return replace(run, executor=None, progress=Silent(), threads=needs.threads)


def how_many_at_once(executor: Executor, needs: Needs) -> int:
    """How many tasks the machines that are there now can do at once."""
    by_threads = executor.n_workers // needs.threads
    if not needs.memory:
        return max(1, by_threads)
    machines = max(1, executor.n_workers // executor.threads_of_a_machine)
    return max(1, min(by_threads, machines * (executor.memory_of_a_machine // needs.memory)))
