"""Progress bars with an ETA on stderr; silent for --json and where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.run import Progress, Silent, Step

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class _RichStep:
    def __init__(self, bars: Bars, task: TaskID, label: str) -> None:
        self._bars, self._task, self._label = bars, task, label

    def advance(self, amount: float = 1) -> None:
        self._bars.advance(self._task, amount)

    def note(self, text: str) -> None:
        self._bars.update(self._task, description=f"{self._label} · {text}")


class RichProgress:
    """Bars that vanish when their step is done."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._open = 0

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        """Open a step as a bar; nested steps stack."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        if self._bars is None:
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
        if self._open == 0:
            self._bars.start()
        self._open += 1
        task = self._bars.add_task(label, total=total)
        try:
            yield _RichStep(self._bars, task, label)
        finally:
            self._bars.remove_task(task)
            self._open -= 1
            if self._open == 0:
                self._bars.stop()
                self._bars = None


def progress(quiet: bool) -> Progress:
    """Bars if a person watches, silence otherwise."""
    return Silent() if quiet or not sys.stderr.isatty() else RichProgress()
