"""Options for text files, and the standard input, on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOG = "user,item\n1,10\n1,20\n2,10\n"


def show(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shoal", "data", "show", *arguments, "--json"]
    return subprocess.run(
        command, input=typed, capture_output=True, text=True, env=os.environ, check=False
    )


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_the_standard_input_is_a_log(path: str) -> None:
    run = show(path, typed=LOG)
    facts = json.loads(run.stdout)
    assert (facts["users"], facts["items"], facts["interactions"]) == (2, 2, 3)


def test_an_empty_standard_input_is_said() -> None:
    run = show("-")
    assert run.returncode == 2
    assert "the standard input is empty" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a,x\nb,y\nb,x\n", ["--no-header"], (2, 2, 3)),
        ("1,5,6\n2,6\n", ["--format", "basket"], (2, 2, 3)),
        ("1~5\n1~6\n2~5\n", ["--separator", "~"], (2, 2, 3)),
        ('user,item\n1,"a\n2,b"\n3,c\n', ["--quotes", "none"], (3, 3, 3)),
    ],
)
def test_options_say_how_a_text_is_written(
    content: str, options: list[str], expected: tuple[int, int, int], tmp_path: Path
) -> None:
    (tmp_path / "log.csv").write_text(content)
    facts = json.loads(show(str(tmp_path / "log.csv"), *options).stdout)
    assert (facts["users"], facts["items"], facts["interactions"]) == expected
