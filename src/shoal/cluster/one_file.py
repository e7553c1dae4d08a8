"""Whether all rows of a user are in one file, found out without a machine that holds all users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.executor import Executor, Handle
from shoal.kernels.arrays import Int

MOST_GROUPS = 64  # of users, each compared by a task


def refuse_divided_users(executor: Executor, users: Sequence[Handle], files: Sequence[str]) -> None:
    """Refuse users who have rows in two files.

    Parameters
    ----------
    executor : Executor
    users : sequence of Handle
        The ids of each file's users.
    files : sequence of str
        Their names, for the error message.

    Raises
    ------
    DataError
        The message names a user and the two files.
    """
    if len(users) < 2:
        return
    n_groups = min(len(users), MOST_GROUPS)
    marks = [executor.submit(_marks, ids, n_groups, n_results=n_groups) for ids in users]
    if n_groups == 1:
        marks = [[mark] for mark in marks]
    groups = [
        executor.submit(_in_two, *(mark[group] for mark in marks)) for group in range(n_groups)
    ]
    for _, found in executor.as_completed(groups):
        for mark, first, second in found:  # equal marks of different users are possible
            both = [
                executor.get(executor.submit(_with_mark, users[k], mark)) for k in (first, second)
            ]
            same = sorted(set(both[0]) & set(both[1]))
            if same:
                raise DataError(
                    f"user {same[0]!r} has rows in {files[first]} and in {files[second]}: all rows "
                    "of a user must be in one file. Write the folder with shoal bucket, or with "
                    "the warehouse's own bucketing by the column of users"
                )


def _hashes(ids: Ids) -> Any:
    """A number of 64 bits for each id."""
    return ids.series.hash(seed=1).to_numpy()


def _marks(ids: Ids, n_groups: int) -> Any:
    """The numbers of a file's users, in groups."""
    hashes = _hashes(ids)
    group = hashes % np.uint64(n_groups)
    parts = tuple(hashes[group == k] for k in range(n_groups))
    return parts if n_groups > 1 else parts[0]


def _in_two(*files: Any) -> list[tuple[int, int, int]]:
    """Numbers that are in two files, with the files; the first few."""
    numbers = np.concatenate(files)
    of_file = np.repeat(np.arange(len(files)), [len(file) for file in files])
    order = np.argsort(numbers, kind="stable")
    numbers, of_file = numbers[order], of_file[order]
    twice = np.flatnonzero(numbers[1:] == numbers[:-1])[:1000]
    return [(int(numbers[k]), int(of_file[k]), int(of_file[k + 1])) for k in twice]


def _with_mark(ids: Ids, mark: int) -> list[Any]:
    """The ids with a number."""
    places: Int = np.flatnonzero(_hashes(ids) == np.uint64(mark)).astype(np.int32)
    return ids.take(places)
