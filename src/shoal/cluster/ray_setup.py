"""Loading Ray so that it is quiet, tells nobody of it, and asks for a token."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from shoal.errors import MissingExtraError

OLDEST_RAY = (2, 60)


def import_ray() -> Any:
    """Ray, with usage statistics off; its own lines of welcome and of warning are not shown.

    Raises
    ------
    MissingExtraError
        It is not installed, or is too old.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a worker without a GPU is to see none: Ray's default to come, said here so that it is quiet
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(f"--on needs Ray ({error}): pip install 'shoal[cluster]'") from None
    if tuple(int(part) for part in ray.__version__.split(".")[:2]) < OLDEST_RAY:
        raise MissingExtraError(
            f"Ray {ray.__version__} is too old, as its clusters let in whoever reaches them: "
            "pip install --upgrade 'shoal[cluster]'"
        )
    logging.getLogger("ray").setLevel(logging.ERROR)
    # it would tell of lost machines on standard output, in the midst of a table or of JSON
    ray._private.worker._worker_logs_enabled = False
    return ray


def read_environment_again() -> None:
    """Have Ray see the token also where it was imported before: it looks once, at its import."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep what Ray's compiled part writes on standard error from a person: an error says it."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 - no file
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def first_line(error: BaseException) -> str:
    """What an error says, without what comes below it."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
