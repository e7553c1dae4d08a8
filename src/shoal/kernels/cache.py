"""Where compiled kernels are kept on disk, so that they are compiled once.

Numba keeps them in the ``__pycache__`` beside the source or in the user's cache folder, and
``NUMBA_CACHE_DIR`` names another folder. In a read-only image none of these can be written: then
they are kept in a folder of this user in the temporary folder, or, if there is none that only this
user can write, nowhere. A cache that is damaged or cannot be written never stops a kernel, which is
compiled again.
"""

# numba's caches are untyped
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from numba.core import caching


def temporary_folder() -> Path | None:
    """Return this user's folder for kernels in the temporary folder; None if there can be none.

    What lies there is run, so nobody else may write to it: it belongs to this user, is closed to
    all others, and is no link.
    """
    if not hasattr(os, "geteuid"):
        return None
    user = os.geteuid()
    try:
        folder = Path(tempfile.gettempdir()) / f"shoal-kernels-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    safe = stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o077
    return folder if safe else None


class _TemporaryLocator(caching._SourceFileBackedLocatorMixin, caching._CacheLocator):
    """Locates a kernel's cache in `temporary_folder`."""

    def __init__(self, py_func, py_file):
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        folder = temporary_folder()
        if folder is None:
            raise PermissionError("no temporary folder that this user alone can write")
        self._path = str(folder / self.get_suitable_cache_subpath(py_file))

    def get_cache_path(self):
        return self._path

    @classmethod
    def from_function(cls, py_func, py_file):
        try:
            return super().from_function(py_func, py_file)
        except OSError:
            return None


class _Files(caching.CompileResultCacheImpl):
    """Numba's files of compiled functions, with one more place to look for."""

    _locator_classes: ClassVar[list[Any]] = [
        *caching.CompileResultCacheImpl._locator_classes,
        _TemporaryLocator,
    ]


class KernelCache(caching.FunctionCache):
    """Numba's cache of a function, except that nothing wrong with its files is an error."""

    _impl_class = _Files

    def load_overload(self, sig, target_context):
        """Load a compiled function; None if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # files are unpickled, and damaged ones fail in any way
            return None

    def save_overload(self, sig, data):
        """Keep a compiled function, if it can be written."""
        try:
            try:
                super().save_overload(sig, data)
            except OSError:
                raise
            except Exception:  # an index that is damaged: begin a new one
                self.flush()
                super().save_overload(sig, data)
        except OSError:  # the folder is gone or read-only by now, or the disk is full
            self.disable()


def keep(dispatcher: Any) -> Any:
    """Let a numba function keep what it compiles on disk, where there is a place for that."""
    # where no place can be written, each process compiles anew
    with contextlib.suppress(RuntimeError, OSError):
        dispatcher._cache = KernelCache(dispatcher.py_func)
    return dispatcher


def kept_in(dispatcher: Any) -> Path | None:
    """Return the folder that a numba function's compiled code is kept in; None if there is none."""
    kept = dispatcher._cache
    return Path(kept.cache_path) if isinstance(kept, KernelCache) else None
