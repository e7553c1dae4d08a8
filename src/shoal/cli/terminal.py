"""The standard streams: what may be sent to them, and how they are set up for a program."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Any, TextIO

# characters that move the cursor, change colours or turn the direction of writing; line separators;
# halves of pairs, which no encoding has
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_abandoned = False


def visible(text: str) -> str:
    r"""The text with its control characters written out, such as ``\t`` and ``\x1b``.

    Ids, titles and file names come from data, and a terminal obeys the control characters in them.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person watches a stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def width_for_tables() -> int | None:
    """Columns of the terminal that output goes to; None for a file or a pipe: no limit."""
    if not is_terminal(sys.stdout):
        return None
    from rich.console import Console

    return Console().width


def shows_all_characters(stream: TextIO) -> bool:
    """Whether a stream's encoding has every character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def set_up() -> None:
    """Make the standard streams safe to write to.

    Characters that their encoding does not have are replaced, lines leave as they are written
    (into pipes too), and a stream that is closed (``2>&-``) becomes one that goes nowhere, so
    that no file which is opened later takes its place.
    """
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nowhere())
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace", line_buffering=True)


def _nowhere() -> TextIO:
    """A stream that takes everything; the descriptors 0 to 2 are open afterwards."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for the whole process


def abandon_output() -> None:
    """Let what standard output has still to write go nowhere, so that nothing fails at exit."""
    global _abandoned  # noqa: PLW0603 - there is one standard output
    _abandoned = True
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)


def output_works() -> bool:
    """Whether standard output still takes something."""
    return not _abandoned


def write_bytes(data: bytes) -> None:
    """Send bytes to standard output as they are, as into a file."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # replaced by an object that takes text alone
        sys.stdout.write(data.decode("utf-8"))
    else:
        binary.write(data)
    sys.stdout.flush()
