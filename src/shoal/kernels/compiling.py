"""`jit` and `parallel`: how the functions of this folder are compiled.

A parallel kernel is compiled twice, each when it is first needed: for several threads, and for one,
which starts no thread at all. Both give the same bits, since each number is computed by one thread
in a fixed order. One thread is taken where `threads.current` says so: by a user's wish, for a
single history, and in a process that was forked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

import numba

from shoal.kernels import threads
from shoal.kernels.cache import keep
from shoal.kernels.threads import chunks

__all__ = ["Kernel", "chunks", "jit", "parallel", "prange"]

prange = numba.prange

P = ParamSpec("P")
R = TypeVar("R")


def jit(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for one thread, or for use in other kernels; `options` are numba's."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return cast(Callable[P, R], keep(numba.njit(**options)(function)))

    return decorate


class Kernel:
    """A function with a loop over `numba.prange`, which runs in one thread or in several.

    Parameters
    ----------
    function : function
        Written as numba compiles it. Each number that it writes must not depend on which thread
        computes which part.
    """

    def __init__(self, function: FunctionType) -> None:
        self.py_func = function
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    @cached_property
    def in_one_thread(self) -> Any:
        """The function compiled for one thread."""
        plain = FunctionType(
            self.py_func.__code__, self.py_func.__globals__, f"{self.__name__}_in_one_thread"
        )
        plain.__qualname__ = plain.__name__  # numba names the files of its cache by it
        plain.__module__ = self.py_func.__module__
        return keep(numba.njit(nogil=True)(plain))

    @cached_property
    def in_threads(self) -> Any:
        """The function compiled for several threads."""
        return keep(numba.njit(parallel=True, nogil=True)(self.py_func))

    def __call__(self, *arguments: Any) -> Any:
        """Run the kernel in as many threads as `threads.current` says."""
        if threads.current() == 1:
            return self.in_one_thread(*arguments)
        with threads.kernel_pool() as is_free:
            return (self.in_threads if is_free else self.in_one_thread)(*arguments)


def parallel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function with a loop over ``prange`` as a `Kernel`."""
    return cast(Callable[P, R], Kernel(cast(FunctionType, function)))
