"""Commands that are suggested to a person: they work when they are pasted into a shell."""

from __future__ import annotations

import csv
import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def command(*words: Any) -> str:
    """A command line of shoal, each word quoted for the shell where it has to be."""
    return " ".join([program(), *(quoted(str(word)) for word in words)])


def program() -> str:
    """The name by which a shell finds shoal: its path, where it is on no search path."""
    if shutil.which("shoal") is None and Path(sys.argv[0]).name == "shoal":
        return quoted(sys.argv[0])
    return "shoal"


def file(path: Path | str) -> str:
    """A path as a word that no option is like."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def id_list(ids: Iterable[Any]) -> str:
    """Ids with commas, as `--history` reads them: one with a comma or a quote stands in quotes."""
    text = io.StringIO()
    csv.writer(text).writerow([str(i) for i in ids])
    return text.getvalue().removesuffix("\r\n")


def argument(value: Any) -> list[str]:
    """An id as a word that is no option: after ``--`` if it begins with a dash."""
    return ["--", str(value)] if str(value).startswith("-") else [str(value)]


def quoted(word: str) -> str:
    """A word as a shell reads it; control characters as escapes, which bash and zsh read."""
    if not _CONTROLS.search(word):
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    escaped = _CONTROLS.sub(lambda c: "".join(f"\\x{b:02x}" for b in c[0].encode()), plain)
    return f"$'{escaped}'"
