"""Whether all rows of a user are in one file, found out without a machine that holds all users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from shoal.data.ids import Ids
from shoal.data.prepare import Entries
from shoal.errors import DataError
from shoal.executor import Executor, Handle


class Marked(Protocol):
    """Handles of a file's rows, and of the marks of its users."""

    @property
    def entries(self) -> Handle:
        """Of `Entries`."""

    @property
    def marks(self) -> Sequence[Handle]:
        """Of what `marks_of` gives for its users."""


def refuse_divided_users(executor: Executor, parts: Sequence[Marked], files: Sequence[str]) -> None:
    """Refuse users who have rows that count in two files.

    Parameters
    ----------
    executor : Executor
    parts : sequence of Marked
        Of each file.
    files : sequence of str
        Their names, for the error message.

    Raises
    ------
    DataError
        The message names a user and the two files.
    """
    groups = [
        executor.submit(_in_two, *marks) for marks in zip(*(p.marks for p in parts), strict=True)
    ]
    for _, found in executor.as_completed(groups):
        for mark, first, second in found:  # equal marks of different users are possible
            both = [
                executor.get(executor.submit(_with_mark, parts[k].entries, mark))
                for k in (first, second)
            ]
            same = sorted(set(both[0]) & set(both[1]))
            if same:
                raise DataError(
                    f"user {same[0]!r} has rows in {files[first]} and in {files[second]}: all rows "
                    "of a user must be in one file. Write the folder with shoal bucket, or with "
                    "the warehouse's own bucketing by the column of users"
                )


def marks_of(users: Ids, n_groups: int) -> list[Any]:
    """A number of 64 bits for each user of a file, in groups by that number.

    Returns
    -------
    list of (n,) uint64
        One for each group.
    """
    marks = _marks(users)
    group = marks % np.uint64(n_groups)
    return [marks[group == k] for k in range(n_groups)]


def _marks(ids: Ids) -> Any:
    return ids.series.hash(seed=1).to_numpy()


def _in_two(*files: Any) -> list[tuple[int, int, int]]:
    """Numbers that are in two files, with the files; the first few."""
    numbers = np.concatenate(files)
    of_file = np.repeat(np.arange(len(files)), [len(file) for file in files])
    order = np.argsort(numbers, kind="stable")
    numbers, of_file = numbers[order], of_file[order]
    twice = np.flatnonzero(numbers[1:] == numbers[:-1])[:1000]
    return [(int(numbers[k]), int(of_file[k]), int(of_file[k + 1])) for k in twice]


def _with_mark(entries: Entries, mark: int) -> list[Any]:
    """The users with a mark."""
    places = np.flatnonzero(_marks(entries.users) == np.uint64(mark))
    return entries.users.take(places)
