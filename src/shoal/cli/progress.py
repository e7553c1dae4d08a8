"""Progress on stderr: bars with an ETA for a person, lines in a file, nothing for --json."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shoal.cli.faults import to_stderr
from shoal.cli.terminal import is_terminal, visible
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
        self._bars.update(self._task, description=visible(f"{self._label} · {text}"))


class RichProgress:
    """Bars that vanish when their step is done."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._open = 0

    def print_above(self, text: str) -> bool:
        """Print a line above the bars; False where none are drawn."""
        if self._bars is None:
            return False
        self._bars.console.print(text, markup=False, emoji=False, highlight=False)
        return True

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        """Open a step as a bar; nested steps stack."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        if self._bars is None:
            self._bars = Bars(
                TextColumn("{task.description}", markup=False),
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
        task = self._bars.add_task(visible(label), total=total)
        try:
            yield _RichStep(self._bars, task, label)
        finally:
            self._bars.remove_task(task)
            self._open -= 1
            if self._open == 0:
                self._bars.stop()
                self._bars = None


class _WrittenStep:
    def __init__(self, lines: WrittenProgress, label: str, total: float | None) -> None:
        self._lines, self._label, self._total = lines, label, total
        self._done, self._note = 0.0, ""

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        self._lines.offer(self._text)

    def note(self, text: str) -> None:
        self._note = text
        self._lines.offer(self._text)

    def _text(self) -> str:
        share = f", {100 * self._done / self._total:.0f} %" if self._total else ""
        return f"{self._label}{share}{' · ' if self._note else ''}{self._note}"


class WrittenProgress:
    """Lines in a file or a pipe: the first after some seconds, then at longer intervals."""

    FIRST, LONGEST = 5.0, 60.0  # seconds between lines

    def __init__(self) -> None:
        self._interval = self.FIRST
        self._last = time.monotonic()

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        """Open a step that is written of when it lasts."""
        step = _WrittenStep(self, label, total)
        self.offer(step._text)
        yield step

    def offer(self, text: Callable[[], str]) -> None:
        """Write a line if the last one was long enough ago."""
        now = time.monotonic()
        if now - self._last >= self._interval:
            to_stderr(visible(text()))
            self._last = now
            self._interval = min(self.LONGEST, 1.5 * self._interval)


_bars: RichProgress | None = None  # what is drawn on the terminal now


def announce(text: str) -> None:
    """Write a line on stderr at once: what is finished, while more is to come."""
    if _bars is not None and _bars.print_above(visible(text)):
        return
    to_stderr(visible(text))


def progress(quiet: bool) -> Progress:
    """Bars if a person watches, lines if not, silence for programs."""
    global _bars  # noqa: PLW0603 - a terminal is one
    if quiet:
        return Silent()
    if not is_terminal(sys.stderr):
        return WrittenProgress()
    _bars = RichProgress()
    return _bars
