"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

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
