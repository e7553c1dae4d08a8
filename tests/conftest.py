"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Tests that compare one thread with two need two of numba's, also on one core. Numba reads this
# when it is imported, and shoal imports numba.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, CORES)))

from shoal.cli import main  # noqa: E402

# the first call of a kernel compiles it, which no deadline can foresee
settings.register_profile("shoal", deadline=None)
settings.load_profile("shoal")


@pytest.fixture(autouse=True, scope="module")
def _later_collections_are_quick() -> None:
    """Garbage collection looks no more at what is there before a file's first test.

    All test files, torch and numba are a million objects, and to look at them takes half a second:
    each fit whose memory is measured would take it.
    """
    gc.collect()
    gc.freeze()


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
