"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from shoal.cli import main

# the first call of a kernel compiles it, which no deadline can foresee
settings.register_profile("shoal", deadline=None)
settings.load_profile("shoal")


@pytest.fixture
def shoal_data() -> Callable[[str], Path]:
    """The folder of a public data set under SHOAL_DATA; the test is skipped without it."""

    def folder(name: str) -> Path:
        root = os.environ.get("SHOAL_DATA")
        if not root:
            pytest.skip(f"set SHOAL_DATA to a folder that holds {name}/ to run this test")
        found = Path(root) / name
        if not found.is_dir():
            pytest.skip(f"{name}/ is not in the folder that SHOAL_DATA names")
        return found

    return folder


@pytest.fixture
def shoal_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs ``shoal ARGUMENTS`` in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["shoal", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run
