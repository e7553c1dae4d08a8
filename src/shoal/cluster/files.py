"""The files of a folder that is divided by user, each read by a task where a worker is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoal.cluster.one_file import marks_of
from shoal.data.buckets import Buckets, FileFacts, find_buckets, is_bucketed, look
from shoal.data.encode import encode_rows
from shoal.data.ids import Ids, number_forms
from shoal.data.rows import Values
from shoal.data.sources import Answer, Source, explained, open_buckets
from shoal.errors import DataError, MemoryBudgetError
from shoal.executor import Executor, Handle, Needs
from shoal.run import Step, human_bytes

_OF_ROW = 64  # bytes that a task takes for a row, beside the file's own
_KEPT_OF_ROW = 24  # bytes of a row that is kept: user, item, value, time


@dataclass(frozen=True)
class Encoded:
    """Handles of what a task has made of the rows of its file that count.

    Parameters
    ----------
    entries : Handle
        Of `Entries` with numbers that hold in this file.
    facts : Handle
        Of what the file's columns are like.
    items : Handle
        Of the `Ids` of its items.
    marks : sequence of Handle
        Of numbers that stand for its users, in groups (`shoal.cluster.one_file`).
    """

    entries: Handle
    facts: Handle
    items: Handle
    marks: Sequence[Handle]


@dataclass(frozen=True)
class Files:
    """Files that tasks read, as `shoal.data.sources.Elsewhere` wants them.

    Parameters
    ----------
    executor : Executor
    parts : sequence of (Buckets, int)
        Each file by itself, and the number of its first row.
    needs : sequence of Needs
        Of the task that reads all of a file.
    columns : Handle
        Of the columns that all have, with their types.
    step : Step
        Is told of each file whose rows were read.
    values : {"binary", "keep", "log1p"}
        What becomes of the values of rows that are kept.
    """

    executor: Executor
    parts: Sequence[tuple[Buckets, int]]
    needs: Sequence[Needs]
    columns: Handle
    step: Step
    values: Values = "binary"

    def ask(self, question: Callable[[Source], Answer]) -> list[Answer]:
        """The answers of all files, in their order."""
        return self.executor.map(_answer, self.parts, self.columns, question)

    def keep(
        self, question: Callable[[Source], tuple[Answer, Any]]
    ) -> tuple[list[Answer], list[Encoded]]:
        """The answers of all files, and the rows that count where they were read."""
        n_groups = min(len(self.parts), MOST_GROUPS)
        tasks = [
            self.executor.submit(
                _rows,
                part,
                self.columns,
                question,
                self.values,
                n_groups,
                needs=needs,
                n_results=4 + n_groups,
            )
            for part, needs in zip(self.parts, self.needs, strict=True)
        ]
        answers: list[Any] = [None] * len(tasks)
        for position, answer in self.executor.as_completed([task[0] for task in tasks]):
            answers[position] = answer
            self.step.advance()
        return answers, [Encoded(task[1], task[2], task[3], task[4:]) for task in tasks]


MOST_GROUPS = 64  # of users, each compared by a task


def open_files(buckets: Buckets, executor: Executor, step: Step) -> Source:
    """Open a folder whose files are read by tasks, after each of them was looked at.

    Raises
    ------
    DataError
        A file is missing, damaged or unlike the others.
    MemoryBudgetError
        The rows of a file have no room on a machine.
    """
    facts: list[FileFacts] = executor.map(look, buckets.files)
    buckets.check(facts)
    _check_room(executor, buckets, facts)
    first_rows = np.cumsum([0, *(fact.rows for fact in facts)])
    parts = [(buckets.part(k), int(first_rows[k])) for k in range(len(facts))]
    needs = [Needs(memory=_bytes_to_read(fact)) for fact in facts]
    files = Files(executor, parts, needs, executor.put(facts[0].columns), step)
    return replace(open_buckets(buckets, facts[0].columns), elsewhere=files)


def find_divided(path: str | Path) -> Buckets:
    """The files of a folder; another log is refused, with the way to divide it."""
    if not is_bucketed(path):
        raise DataError(
            f"{path} is no folder of Parquet files: what many machines read is divided by user. "
            "Write such a folder with shoal bucket LOG FOLDER"
        )
    return find_buckets(path)


def _bytes_to_read(fact: FileFacts) -> int:
    return _OF_ROW * fact.rows + 4 * fact.bytes


def _check_room(executor: Executor, buckets: Buckets, facts: Sequence[FileFacts]) -> None:
    """Refuse a file whose rows a machine cannot hold."""
    largest = max(range(len(facts)), key=lambda k: facts[k].rows)
    name, fact = buckets.files[largest], facts[largest]
    need, room = _bytes_to_read(fact), executor.memory_of_a_machine
    if need > room:
        raise MemoryBudgetError(
            f"{name}: reading its {fact.rows:,} rows takes about {human_bytes(need)}, and a "
            f"machine gives tasks {human_bytes(room)}. Divide the log into more files (shoal "
            "bucket --buckets N), or take larger machines"
        )
    kept = _KEPT_OF_ROW * fact.rows
    executor.check_room(f"what is kept of {name}", kept, kept)


def _answer(
    part: tuple[Buckets, int], columns: dict[str, pl.DataType], question: Callable[[Source], Answer]
) -> Answer:
    """Ask a question about one file."""
    buckets, first_row = part
    source = open_buckets(buckets, columns, first_row)
    with explained(source):
        return question(source)


def _rows(
    part: tuple[Buckets, int],
    columns: dict[str, pl.DataType],
    question: Callable[[Source], tuple[Any, pl.DataFrame]],
    values: Values,
    n_groups: int,
) -> tuple[Any, ...]:
    """Read the rows of a file that count, and number them by themselves."""
    answer, frame = _answer(part, columns, question)
    entries = encode_rows(frame, part[0].name, values, typed=True)
    facts = {
        "user": _forms(entries.users),
        "item": _forms(entries.items),
        "whole times": entries.time is None or entries.time.dtype == np.int64,
        "kind": entries.users.kind,
    }
    return answer, entries, facts, entries.items, *marks_of(entries.users, n_groups)


def _forms(ids: Ids) -> frozenset[str]:
    """How all of the ids are written, where they are text."""
    return number_forms(ids.series) if ids.kind == "str" else frozenset()
