"""The command line: ``shoal COMMAND``."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def main() -> None:
    """Run the command line; whatever fails is one line, not a traceback."""
    code = 1
    try:
        from shoal.cli import faults, terminal

        terminal.set_up()
        warnings.formatwarning = lambda message, *_, **__: (
            f"warning: {terminal.visible(str(message))}\n"
        )
        with _interrupts() as interrupted:
            code = _code_of_run(interrupted)
            try:
                sys.stdout.flush()
            except (OSError, ValueError) as error:  # a disk that is full, a pipe that nobody reads
                code = faults.end_with(error)
            if interrupted:
                code = faults.INTERRUPTED
                faults.to_stderr("error: interrupted; nothing was left half written")
    except KeyboardInterrupt:  # before or after the program proper
        code = 130
    sys.exit(code)


def _code_of_run(interrupted: list[bool]) -> int:
    """Run the program; gives its exit code."""
    from shoal.cli import faults

    try:
        from shoal.run import first_process

        faults.check_environment()
        if not first_process():  # of several under torchrun, one speaks
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        from shoal.cli.app import program

        program()()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        interrupted.append(True)
    except BaseException as error:  # the panics of polars are no Exceptions
        # an interrupt in the middle of an import can come out as any error
        if not interrupted:
            return faults.end_with(error)
    return 0


@contextmanager
def _interrupts() -> Iterator[list[bool]]:
    """Note every Ctrl-C; the list is empty until there is one.

    Python raises KeyboardInterrupt wherever it is. In a callback it would be printed and lost, so
    it is then sent once more.
    """
    seen: list[bool] = []
    previous_hook = sys.unraisablehook

    def note(number: int, frame: Any) -> None:
        seen.append(True)
        signal.default_int_handler(number, frame)

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        else:
            previous_hook(unraisable)

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread: whoever is may handle signals
        yield seen
        return
    if previous is signal.SIG_IGN:  # started by nohup, or in the background of a script
        signal.signal(signal.SIGINT, previous)
    sys.unraisablehook = hook
    try:
        yield seen
    finally:
        sys.unraisablehook = previous_hook
        signal.signal(signal.SIGINT, previous)
