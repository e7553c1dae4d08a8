"""A refresh in a process of its own: it reports, is stopped or killed, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shoal.artifact import Store
from shoal.artifact.locks import LockedError, locked
from shoal.errors import DataError, TrainingError
from shoal.refresh import Config, run, start_in_process
from shoal.refresh.work import refresh
from shoal.run import Silent, Step
from tests.waiting import is_running, until

# trained without end, so that there is time to stop it
ENDLESS = {"model": "elsa", "settings": {"n_epochs": 100_000, "factors": 8}}


class Steps:
    """A progress sink that remembers the steps."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        self.labels.append(label)
        yield self  # type: ignore[misc]


def test_a_refresh_reports_its_steps_and_its_outcome(configured: Callable[..., Config]) -> None:
    steps = Steps()
    outcome = run(configured(), steps)
    assert outcome.published
    assert Store(configured().store).current() == outcome.version
    assert steps.labels[0].startswith("reading")
    assert steps.labels[-1] == "publishing"
    assert any("evaluating" in label for label in steps.labels)
    assert set(outcome.seconds) == {"read", "fit", "evaluate", "publish"}


def test_its_errors_are_those_of_the_work(
    configured: Callable[..., Config], log_file: Path
) -> None:
    log_file.unlink()
    with pytest.raises(DataError, match=r"log\.csv: no such file"):
        run(configured())


def test_a_refresh_that_is_killed_or_second_leaves_the_live_version(
    configured: Callable[..., Config],
) -> None:
    pytest.importorskip("torch")
    first = refresh(configured(), Silent()).version
    store = Store(configured().store)
    process = start_in_process(configured(**ENDLESS))
    until(lambda: process.step == "training", 60)
    with pytest.raises(TimeoutError, match="training"):
        process.wait(0)
    with pytest.raises(LockedError, match=f"it is refreshed by process {process.pid} on"):
        refresh(configured(), Silent())
    assert store.current() == first
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match="was killed while it was training"):
        process.wait(10)
    assert store.current() == first
    assert [v.name for v in store.versions(verify=True) if not v.error] == [first]
    # the lock is free again
    assert refresh(configured({"compare": False}, settings={"l2": 9.0}), Silent()).published
    assert not list(store.path.glob(".*.new"))


def test_a_refresh_waits_for_another_and_can_be_stopped(configured: Callable[..., Config]) -> None:
    store = Store(configured().store, create=True)
    with locked(store.path / "REFRESH", wait=0, purpose="a test runs"):
        process = start_in_process(configured(), wait=1000)
        assert process.running
        process.stop()
    with pytest.raises(TrainingError, match="was stopped"):
        process.wait(10)
    assert not is_running(process.pid)
    assert not process.running
    assert store.versions() == []


def test_a_refresh_ends_with_whoever_started_it(configured: Callable[..., Config]) -> None:
    """It waits for the lock, so that it would not end by itself."""
    script = """
        import sys
        from shoal.refresh import Config, start_in_process
        process = start_in_process(Config.model_validate_json(sys.argv[1]), wait=1000)
        print(process.pid, flush=True)
        process.wait()
    """
    config = configured().model_dump_json()
    store = Store(configured().store, create=True)
    with (
        locked(store.path / "REFRESH", wait=0, purpose="a test runs"),
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), config],
            stdout=subprocess.PIPE,
            text=True,
        ) as parent,
    ):
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        until(lambda: not is_running(pid), 60)
