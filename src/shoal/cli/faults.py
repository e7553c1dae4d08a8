"""What the program says when something fails, in one line, and with which code it ends."""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import tempfile
import traceback

from shoal.cli import terminal
from shoal.errors import ShoalError

USER, FAULT, INTERRUPTED = 2, 1, 130


def end_with(error: BaseException) -> int:
    """Say in one line what went wrong; gives the exit code.

    Errors that a user can repair say how. Everything else is a fault of shoal: its traceback goes
    to a file, and the line says where that is and where to report it.
    """
    if isinstance(error, BrokenPipeError):  # `shoal … | head`
        terminal.abandon_output()
        return 0
    if isinstance(error, ShoalError):
        return say(str(error), error.exit_code)
    explained = _explained(error)
    if explained is not None:
        return say(explained, USER)
    return say(_fault(error), FAULT)


def say(message: str, code: int) -> int:
    """Print an error, as JSON for a program that asked for it; gives the code back."""
    message = terminal.visible(message)
    if "--json" in sys.argv and terminal.output_works():
        try:
            print(json.dumps({"error": message}), flush=True)  # noqa: T201
            return code
        except (OSError, ValueError):  # standard output is full or closed: say it on the other one
            terminal.abandon_output()
    to_stderr(f"error: {message}")
    return code


def to_stderr(text: str) -> None:
    """Print a line on standard error; where that is full or closed, there is nobody to tell."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return


def check_environment() -> None:
    """Refuse settings of the environment with which a library below cannot even be imported.

    Raises
    ------
    ShoalError
        A number of threads that is none.
    """
    for name in ("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
        text = os.environ.get(name)
        if text is not None and not (text.strip().isdecimal() and int(text) > 0):
            raise ShoalError(f"{name}={text}: set it to 1 or more, or unset it")


def _explained(error: BaseException) -> str | None:
    """What errors of libraries and of the system mean to a user; None for faults."""
    files = [
        frame.filename.replace(os.sep, "/") for frame in traceback.extract_tb(error.__traceback__)
    ]
    if any("numba/core/caching.py" in file for file in files):
        from numba.core import config

        place = (
            getattr(config, "CACHE_DIR", "")
            or "the folders __pycache__ of shoal (its files *.nbi, *.nbc)"
        )
        return (
            f"a compiled kernel that is kept on disk cannot be used ({_named(error)}): remove "
            f"{place}, or set NUMBA_CACHE_DIR to an empty folder"
        )
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC and error.filename is None:
            terminal.abandon_output()
            return f"the output could not be written: {error.strerror}"
        return str(error)
    if "threading layer" in str(error).lower() and any("/numba/" in file for file in files):
        return f"{error} Set or unset NUMBA_THREADING_LAYER: workqueue is always there"
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({error or 'an allocation failed'}): see shoal plan"
    if isinstance(error, RecursionError) and any(
        "/json/" in file or "/yaml/" in file for file in files
    ):
        return "a JSON or YAML file is nested too deeply to be read"
    return None


def _named(error: BaseException) -> str:
    """The error's type and message, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _fault(error: BaseException) -> str:
    """Keep the traceback in a file; gives the line that says where."""
    from shoal._version import __version__

    trace = "".join(traceback.format_exception(error))
    about = f"shoal {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    text = f"{about}{' '.join(map(repr, sys.argv))}\n\n{trace}"
    try:
        descriptor, path = tempfile.mkstemp(prefix="shoal-fault-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:  # no folder can be written to
        to_stderr(trace)
        path = "above"
    place = path if path == "above" else f"in {path}"
    return (
        f"this is a fault of shoal, not yours ({_named(error)}). The traceback is {place}: please "
        "report it to the shoal developers, with what you typed"
    )
