"""`fetch_file` against a real server: what was cut off is continued, if it is the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.datasets.download import fetch_file
from shoal.errors import DownloadError

from .download_helpers import BODY, SHA256, Counter, Plan, part

pytestmark = pytest.mark.usefixtures("quick")


def leave_part(plan: Plan, url: str, target: Path, size: int) -> None:
    """Do what a run that was cut off after `size` bytes does."""
    plan.cut_at, plan.cuts = size, 1
    with pytest.raises(DownloadError):
        fetch_file(url, target, retries=0)
    assert part(target).read_bytes() == plan.body[:size]
    plan.asked.clear()


def test_a_truncated_body_is_continued(url: str, target: Path, plan: Plan) -> None:
    plan.cut_at, plan.cuts = 4000, 1
    counter = Counter()
    fetch_file(url, target, progress=counter)
    assert target.read_bytes() == BODY
    assert plan.ranges_asked == [None, "bytes=4000-"]
    assert plan.asked[1]["if-range"] == '"first"'
    assert counter.done == 4000 + 4000 + 6240  # the second bar begins where the first ended


def test_a_body_that_is_always_truncated_keeps_the_part_and_says_so(
    url: str, target: Path, plan: Plan
) -> None:
    plan.ranges, plan.cut_at, plan.cuts = False, 3000, -1
    with pytest.raises(DownloadError, match=r"3000 of 10240 bytes .attempts: 3") as caught:
        fetch_file(url, target, retries=2)
    assert "3000 bytes) are kept in" in str(caught.value)
    assert "running the same command again continues" in str(caught.value)
    assert len(plan.asked) == 3
    assert part(target).read_bytes() == BODY[:3000]
    assert not target.exists()


def test_a_later_run_continues(url: str, target: Path, plan: Plan) -> None:
    leave_part(plan, url, target, 2500)
    fetch_file(url, target)
    assert target.read_bytes() == BODY
    assert plan.ranges_asked == ["bytes=2500-"]


def test_a_date_serves_where_the_etag_is_weak(url: str, target: Path, plan: Plan) -> None:
    plan.etag, plan.last_modified = 'W/"weak"', "Mon, 01 Jan 2024 00:00:00 GMT"
    leave_part(plan, url, target, 2500)
    fetch_file(url, target)
    assert plan.asked[0]["if-range"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changed_meanwhile_starts_from_zero(
    url: str, target: Path, plan: Plan, honours_if_range: bool
) -> None:
    leave_part(plan, url, target, 2500)
    plan.body, plan.etag, plan.honours_if_range = BODY[::-1], '"second"', honours_if_range
    fetch_file(url, target)
    assert target.read_bytes() == BODY[::-1]


def test_without_identity_or_hash_nothing_old_is_reused(url: str, target: Path, plan: Plan) -> None:
    plan.etag = None
    leave_part(plan, url, target, 2500)
    plan.body = BODY[::-1]
    fetch_file(url, target)
    assert plan.ranges_asked == [None]
    assert target.read_bytes() == BODY[::-1]


def test_a_known_hash_lets_a_part_of_unknown_origin_be_continued(
    url: str, target: Path, plan: Plan
) -> None:
    target.parent.mkdir()
    part(target).write_bytes(BODY[:100])
    fetch_file(url, target, sha256=SHA256)
    assert plan.ranges_asked == ["bytes=100-"]
    assert target.read_bytes() == BODY


def test_a_server_without_ranges_restarts_cleanly(url: str, target: Path, plan: Plan) -> None:
    leave_part(plan, url, target, 2500)
    plan.ranges = False
    fetch_file(url, target, sha256=SHA256)
    assert target.read_bytes() == BODY


def test_a_piece_that_starts_elsewhere_is_not_joined(url: str, target: Path, plan: Plan) -> None:
    leave_part(plan, url, target, 2500)
    plan.skew = 7
    fetch_file(url, target)
    assert target.read_bytes() == BODY
    assert plan.ranges_asked == ["bytes=2500-", None]


def test_a_part_that_is_whole_already_is_taken(url: str, target: Path, plan: Plan) -> None:
    target.parent.mkdir()
    part(target).write_bytes(BODY)
    fetch_file(url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert plan.ranges_asked == ["bytes=10240-"]


def test_a_part_that_is_too_long_starts_from_zero(url: str, target: Path, plan: Plan) -> None:
    target.parent.mkdir()
    part(target).write_bytes(BODY + b"more")
    fetch_file(url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert plan.ranges_asked == ["bytes=10244-", None]
