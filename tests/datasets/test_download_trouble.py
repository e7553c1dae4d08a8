"""`fetch_file` against a real server: what goes wrong is named, with the way out."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from shoal.datasets.download import fetch_file
from shoal.errors import DownloadError

from .download_helpers import BODY, SHA256, Plan, part

pytestmark = pytest.mark.usefixtures("quick")


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


def test_no_more_is_written_than_the_file_should_have(url: str, target: Path, plan: Plan) -> None:
    """A server that names no length could send for ever."""
    plan.body, plan.says_length, plan.etag = BODY * 100, False, None
    with pytest.raises(DownloadError, match="expected 10240 bytes, found 10241"):
        fetch_file(url, target, size=len(BODY))
    plan.says_length, plan.asked = True, []
    with pytest.raises(DownloadError, match="expected 10240 bytes, found 1024000"):
        fetch_file(url, target, size=len(BODY))
    assert len(plan.asked) == 1
    assert not target.exists()
    assert not part(target).exists()
