"""Reports of an experiment: one is made at a time, and nobody waits for long."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

import shoal.online.report
from shoal.online import Experiment
from shoal.service import online_reports
from shoal.service.online_reports import OnlineReports
from shoal.service.problems import Problem

HALVES = {"old": {"share": 0.5}, "new": {"share": 0.5}}


class Slow:
    """A report that is made when the test says so; it counts how many are made at once."""

    def __init__(self) -> None:
        self.may_end, self.began = threading.Event(), threading.Event()
        self.now, self.at_most, self.windows = 0, 0, list[Any]()
        self.time = 0.0
        self.takes = 0.0

    def __call__(self, *_: object, since: Any, until: Any, **__: object) -> Any:
        self.now += 1
        self.at_most = max(self.at_most, self.now)
        self.windows.append((since, until))
        self.began.set()
        assert self.may_end.wait(20)
        self.time += self.takes
        self.now -= 1
        return f"report {len(self.windows)}"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(shoal.online.report, "report", made)
    return made


@pytest.fixture
def reports(slow: Slow) -> OnlineReports:
    experiment = Experiment.model_validate({"name": "autumn", "variants": HALVES})
    main: Any = SimpleNamespace(served=None)
    events: Any = None
    return OnlineReports(experiment, events, main, clock=lambda: slow.time)


def test_a_report_is_kept_for_the_longer_the_longer_it_took(
    reports: OnlineReports, slow: Slow
) -> None:
    slow.may_end.set()
    slow.takes = 3.0
    assert reports.report() == "report 1"  # ready at 3 s; kept for 5 + 10 · 3 s
    slow.time = 37.9
    assert reports.report() == "report 1"
    slow.time = 38.1
    assert reports.report() == "report 2"
    reports.forget()
    assert reports.report() == "report 3"


def test_one_is_made_and_the_others_get_the_last_one_or_are_told(
    reports: OnlineReports, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_reports, "WAIT_SECONDS", 0.05)
    slow.may_end.set()
    assert reports.report() == "report 1"
    slow.time = 1000.0
    slow.may_end.clear()
    slow.began.clear()
    thread = threading.Thread(target=reports.report)
    thread.start()
    assert slow.began.wait(20)
    assert reports.report() == "report 1"  # old, but at once
    for since in range(3):  # windows of which there is none
        with pytest.raises(Problem) as told:
            reports.report(since=float(since))
        assert told.value.status == 503
        assert "Retry-After" in told.value.headers
    slow.may_end.set()
    thread.join(20)
    assert reports.report() == "report 2"
    assert slow.at_most == 1
    assert slow.windows == [(None, None)] * 2


def test_what_was_made_before_a_decision_is_not_kept(reports: OnlineReports, slow: Slow) -> None:
    thread = threading.Thread(target=reports.report)
    thread.start()
    assert slow.began.wait(20)
    reports.forget()  # somebody decides meanwhile
    slow.may_end.set()
    thread.join(20)
    assert reports.report() == "report 2"
