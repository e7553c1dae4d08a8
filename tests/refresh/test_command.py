"""``shoal refresh``: what it prints, and with which status it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shoal.cli import refresh as command
from shoal.refresh import Config, Outcome, work
from shoal.run import Progress

Shoal = Callable[..., tuple[int, str, str]]

CONFIG = """
store: store
log: {path: log.csv}
settings: {l2: 10}
evaluation: {metric: hit_rate@10, least_users: 10}
threads: 1
"""


@pytest.fixture
def config(log_file: Path) -> Path:
    path = log_file.parent / "refresh.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of its own is tested elsewhere, and takes seconds to start."""

    def run(config: Config, progress: Progress, *, wait: float) -> Outcome:
        return work.refresh(config, progress, wait)

    monkeypatch.setattr("shoal.refresh.run", run)


def test_it_publishes_refuses_and_fails_with_a_status_each(
    config: Path, shoal_command: Shoal
) -> None:
    code, out, err = shoal_command("refresh", config, "--json")
    assert code == 0, (out, err)
    first = json.loads(out)
    assert first["published"] is True
    assert first["items"] == 40
    config.write_text(CONFIG.replace("settings: {l2: 10}", "model: popularity"))
    code, out, _ = shoal_command("refresh", config)
    assert code == 3
    assert f"{first['version']} stays live; no new popularity was published" in out
    assert "worse, the margin allows 2.0% less" in out
    config.write_text(CONFIG + "modle: ease\n")
    code, out, err = shoal_command("refresh", config)
    assert code == 2
    assert "refresh.yaml, line 7: there is no key modle" in err
    code, out, _ = shoal_command("versions", config.parent / "store", "--json")
    assert json.loads(out)["live"] == first["version"]


def test_the_example_is_printed(shoal_command: Shoal) -> None:
    code, out, _ = shoal_command("refresh", "--example")
    assert code == 0
    assert out.startswith("# How the next version")
    code, _, err = shoal_command("refresh")
    assert code == 2
    assert "--example" in err


def test_a_schedule_goes_on_after_a_fault(
    config: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(CONFIG + 'schedule: "24h"\n')
    due = []

    def wait(schedule: str, last: datetime | None, *, quiet: bool) -> datetime:
        due.append((schedule, last))
        if len(due) == 1:
            config.write_text("broken: [")  # a person edits the file meanwhile
        if len(due) == 2:
            config.write_text(CONFIG.replace("log.csv", "gone.csv") + 'schedule: "2h"\n')
        if len(due) == 4:
            raise KeyboardInterrupt
        return datetime.now().astimezone() + timedelta(hours=len(due))

    monkeypatch.setattr(command, "_wait_for_next", wait)
    code, out, err = shoal_command("refresh", config)
    assert code == 130
    assert out.count("is live") == 1
    assert "going on with the configuration as it was" in err
    assert "gone.csv: no such file" in err
    assert [schedule for schedule, _ in due] == ["24h", "24h", "2h", "2h"]


def test_it_sleeps_until_the_next_one_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = [datetime(2026, 3, 1, 2, 58, 30).astimezone()]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return now[0].replace(tzinfo=None)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += timedelta(seconds=seconds)

    monkeypatch.setattr(command, "datetime", Clock)
    monkeypatch.setattr(command.time, "sleep", sleep)
    command._wait_for_next("03:00", None, quiet=True)
    assert slept == [60, 30]


def test_what_was_done_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(
        "published", "v2", "v1", "good enough", "ease", candidate=0.5, users_compared=1234,
        protocol="the last day", users=5000, items=70, interactions=90_000, events=12,
        deleted_users=3, removed=["v0"], seconds={"fit": 1.25}, notes=["columns: a"],
    )  # fmt: skip
    command._print(outcome, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "columns: a",
        "5,000 users × 70 items, 90,000 interactions, 12 of them from events",
        "3 users who were deleted are left out",
        "compared on 1,234 users: the last day",
        "v2 is live",
        "good enough",
        "removed v0",
        "fit 1.2 s",
    ]
