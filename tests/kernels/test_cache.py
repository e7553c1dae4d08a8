"""Where compiled kernels are kept, and what happens if their files are damaged."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from shoal.kernels import cache

CODE = """
import numpy as np
from numba import njit
from shoal.kernels import cache
from module import double
print(double(np.arange(4.0)).tolist())
"""
MODULE = """
from numba import njit
from shoal.kernels.cache import keep

@keep
@njit
def double(x):
    return 2 * x
"""


def double(folder: Path) -> str:
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONDONTWRITEBYTECODE": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_cache_is_compiled_anew(tmp_path: Path, suffix: str, share: float) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    assert double(tmp_path) == "[0.0, 2.0, 4.0, 6.0]"
    (file,) = (tmp_path / "kernels").rglob(f"*.{suffix}")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert double(tmp_path) == "[0.0, 2.0, 4.0, 6.0]"
    assert file.stat().st_size >= len(whole) - 64, "the cache was not mended"
    assert double(tmp_path) == "[0.0, 2.0, 4.0, 6.0]"


def test_the_temporary_folder_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = cache.temporary_folder()
    assert folder is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache.temporary_folder() == folder
    folder.chmod(0o777)  # somebody else could put code there
    assert cache.temporary_folder() is None
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert cache.temporary_folder() is None
    folder.unlink()
    folder.write_text("a file")
    assert cache.temporary_folder() is None


def test_without_any_place_kernels_are_compiled_in_each_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import numba

    monkeypatch.setattr(cache._Files, "_locator_classes", [])

    def triple(x: np.ndarray) -> np.ndarray:
        return 3 * x

    kernel = cache.keep(numba.njit(triple))
    assert kernel(np.arange(3.0)).tolist() == [0.0, 3.0, 6.0]
