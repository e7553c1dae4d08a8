"""`fetch_file` against a real server: a file arrives whole, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from shoal.datasets.download import fetch_file, file_hash
from shoal.errors import DownloadError

from .download_helpers import BODY, MD5, SHA256, Counter, Plan

pytestmark = pytest.mark.usefixtures("quick")


def test_a_file_arrives_whole_with_nothing_beside_it(url: str, target: Path, plan: Plan) -> None:
    counter = Counter()
    assert fetch_file(url, target, sha256=SHA256, md5=MD5, size=10240, progress=counter) == target
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["data.bin"]
    assert (counter.steps, counter.done) == ([("fetch data.bin", 10240)], 10240)
    assert plan.asked[0]["user-agent"].startswith("shoal/")
    assert file_hash(target) == SHA256


def test_a_length_that_is_not_announced_is_no_hindrance(url: str, target: Path, plan: Plan) -> None:
    plan.says_length = False
    fetch_file(url, target, sha256=SHA256)
    assert target.read_bytes() == BODY


def test_a_file_that_is_there_is_not_fetched_again(url: str, target: Path, plan: Plan) -> None:
    target.parent.mkdir()
    target.write_bytes(BODY)
    fetch_file(url, target, sha256=SHA256.upper(), md5=MD5)
    target.write_bytes(b"placed by hand, no hash known")
    fetch_file(url, target)
    assert plan.asked == []
    assert target.read_bytes() == b"placed by hand, no hash known"


def test_a_file_with_the_wrong_hash_is_replaced(url: str, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"an old edition")
    fetch_file(url, target, sha256=SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(("algorithm", "right"), [("sha256", SHA256), ("md5", MD5)])
def test_a_wrong_hash_is_named_and_nothing_stays(
    url: str, target: Path, plan: Plan, algorithm: str, right: str
) -> None:
    plan.body = b"x" * 10240
    found = hashlib.new(algorithm, plan.body, usedforsecurity=False).hexdigest()
    known = {algorithm: right}
    with pytest.raises(DownloadError) as caught:
        fetch_file(url, target, sha256=known.get("sha256"), md5=known.get("md5"))
    assert f"expected {algorithm} {right}, found {found}" in str(caught.value)
    assert list(target.parent.iterdir()) == []


def test_a_wrong_size_is_named(url: str, target: Path) -> None:
    with pytest.raises(DownloadError, match="expected 10000 bytes, found 10240"):
        fetch_file(url, target, size=10000)
    assert list(target.parent.iterdir()) == []
