"""`fetch_file` against a real server on the loopback interface."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shoal.data import download
from shoal.data.download import fetch_file, file_hash
from shoal.errors import DownloadError

BODY = bytes(range(256)) * 40  # 10,240 bytes
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


@dataclass
class Plan:
    """How the server behaves; tests change it before they ask."""

    body: bytes = BODY
    etag: str | None = '"first"'
    last_modified: str | None = None
    ranges: bool = True
    honours_if_range: bool = True
    says_length: bool = True
    cut_at: int | None = None  # close the connection after so many bytes of an answer
    cuts: int = 0  # so many answers are cut; -1 for all
    codes: list[int] = field(default_factory=list)  # answered first, one each
    hang_after: int | None = None
    skew: int = 0  # added to the start of the piece that is sent
    location: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("range") for headers in self.asked]


def handler(plan: Plan) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            plan.asked.append(headers)
            self.close_connection = True
            if plan.codes and (code := plan.codes.pop(0)) != 200:
                self.send_response(code)
                if plan.location:
                    self.send_header("Location", plan.location)
                self.end_headers()
                return
            start, wants = 0, headers.get("range")
            if wants and plan.ranges and self.unchanged(headers):
                start = int(wants.removeprefix("bytes=").removesuffix("-"))
                if start >= len(plan.body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(plan.body)}")
                    self.end_headers()
                    return
                start += plan.skew
                self.send_response(206)
                end = len(plan.body) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(plan.body)}")
            else:
                self.send_response(200)
            piece = plan.body[start:]
            if plan.says_length:
                self.send_header("Content-Length", str(len(piece)))
            if plan.etag:
                self.send_header("ETag", plan.etag)
            if plan.last_modified:
                self.send_header("Last-Modified", plan.last_modified)
            self.end_headers()
            if plan.hang_after is not None:
                self.wfile.write(piece[: plan.hang_after])
                self.wfile.flush()
                plan.stop.wait(3)
            elif plan.cuts:
                plan.cuts -= 1
                self.wfile.write(piece[: plan.cut_at])
            else:
                self.wfile.write(piece)

        def unchanged(self, headers: dict[str, str]) -> bool:
            named = headers.get("if-range")
            known = {plan.etag, plan.last_modified}
            return not plan.honours_if_range or named is None or named in known

    return Handler


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
def url(plan: Plan) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(plan)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/data.bin"
        plan.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "data.bin"


def part(target: Path) -> Path:
    return target.with_name("data.bin.part")


def leave_part(plan: Plan, url: str, target: Path, size: int) -> None:
    """Do what a run that was cut off after `size` bytes does."""
    plan.cut_at, plan.cuts = size, 1
    with pytest.raises(DownloadError):
        fetch_file(url, target, retries=0)
    assert part(target).read_bytes() == plan.body[:size]
    plan.asked.clear()


class Counter:
    """A progress sink that remembers."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, float | None]] = []
        self.done = 0.0

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Counter]:
        self.steps.append((label, total))
        yield self

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def note(self, text: str) -> None:
        pass


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


@pytest.mark.parametrize("code", [403, 404, 410, 418])
def test_a_refusal_is_not_asked_twice(url: str, target: Path, plan: Plan, code: int) -> None:
    plan.codes = [code]
    with pytest.raises(DownloadError, match=f"HTTP {code}") as caught:
        fetch_file(url, target)
    assert url in str(caught.value)
    assert f"place the file at {target}" in str(caught.value)
    assert len(plan.asked) == 1


def test_a_server_error_is_asked_again(url: str, target: Path, plan: Plan) -> None:
    plan.codes = [500, 503]
    fetch_file(url, target)
    assert target.read_bytes() == BODY
    assert len(plan.asked) == 3


def test_a_lasting_server_error_is_reported(url: str, target: Path, plan: Plan) -> None:
    plan.codes = [502] * 5
    with pytest.raises(DownloadError, match=r"HTTP 502 .*attempts: 2"):
        fetch_file(url, target, retries=1)
    assert len(plan.asked) == 2


def test_a_silent_server_times_out_and_what_came_is_kept(
    url: str, target: Path, plan: Plan
) -> None:
    plan.hang_after = 1234
    began = time.monotonic()
    with pytest.raises(DownloadError, match=r"silent for 0\.1 s"):
        fetch_file(url, target, timeout=0.1, retries=0)
    assert time.monotonic() - began < 1.5
    assert part(target).read_bytes() == BODY[:1234]


def test_a_closed_port_names_the_address_and_the_way_out(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.bin"
    with pytest.raises(DownloadError, match="no connection") as caught:
        fetch_file(url, target, retries=1)
    assert url in str(caught.value)
    assert "by hand on another machine" in str(caught.value)
    assert str(target) in str(caught.value)


def test_a_name_that_does_not_resolve_is_clear(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DownloadError, match=r"data\.example.*name resolution"):
        fetch_file("http://data.example/data.bin", target, retries=0)


def test_a_connection_that_closes_without_an_answer_is_clear(target: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                connection.recv(1000)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/data.bin"
        with pytest.raises(DownloadError, match="no connection"):
            fetch_file(url, target, retries=1)
        thread.join()


@pytest.mark.parametrize("url", ["ftp://a.example/x", "file:///etc/hostname", "data.bin"])
def test_only_http_is_fetched(url: str, target: Path) -> None:
    with pytest.raises(DownloadError, match="only http and https"):
        fetch_file(url, target)


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/data.bin", "file:///etc/hostname"])
def test_a_redirect_leads_to_http_only(url: str, target: Path, plan: Plan, location: str) -> None:
    plan.codes, plan.location = [302], location
    with pytest.raises(DownloadError, match=r"not http or https|not allowed"):
        fetch_file(url, target, retries=0)
    assert not target.exists()


def test_a_redirect_is_followed(url: str, target: Path, plan: Plan) -> None:
    plan.codes, plan.location = [302], url + "?moved"
    fetch_file(url, target, sha256=SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named_and_the_part_stays(url: str, target: Path) -> None:
    target.parent.mkdir()
    part(target).symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="the disk is full"):
        fetch_file(url, target)
    assert part(target).is_symlink()
    assert not target.exists()


def test_a_folder_that_cannot_be_made_is_clear(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot write"):
        fetch_file(url, tmp_path / "file" / "data.bin")
