"""Clients: proxies, redirects and texts of servers."""

from __future__ import annotations

import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from shoal.datasets import download
from shoal.datasets.download import fetch_file
from shoal.errors import DownloadError, EmbeddingError
from shoal.text.endpoint import Endpoint
from shoal.web import UnsafeRedirectError, is_this_machine, opener, printable

from .text.embedders import KEY, Plan, number, serving


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("LOCALHOST", True), ("localhost.", True), ("a.localhost", True),
        ("127.0.0.1", True), ("127.8.9.1", True), ("[::1]", True), ("[::ffff:127.0.0.1]", True),
        ("10.0.0.1", False), ("notlocalhost", False), ("localhost.example", False),
        ("127.0.0.1.example", False), ("[::2]", False),
    ],
)  # fmt: skip
def test_addresses_of_this_machine(host: str, expected: bool) -> None:
    assert is_this_machine(f"http://{host}:80/v1") == expected


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A proxy that the environment names; it remembers the requests and their keys."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            seen.append(f"{self.path} {self.headers['Authorization']}")
            self.send_error(502)

        def do_GET(self) -> None:
            self.do_POST()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield seen
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_key_for_this_machine_goes_past_the_proxy(
    proxy: list[str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Plan()) as plan:
        url = plan.url.replace("127.0.0.1", host)
        np.testing.assert_array_equal(Endpoint(url, "m", retries=0).embed(["a"]), [number("a")])
    assert plan.headers[0]["authorization"] == f"Bearer {KEY}"
    assert proxy == []


def test_a_download_from_this_machine_goes_past_the_proxy_and_others_through_it(
    proxy: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    with pytest.raises(DownloadError, match="no connection"):
        fetch_file("http://127.0.0.1:9/x", tmp_path / "x", retries=0)
    assert proxy == []
    with pytest.raises(DownloadError, match="HTTP 502"):
        fetch_file("http://data.example/x", tmp_path / "x", retries=0)
    assert proxy == ["http://data.example/x None"]


# -- redirects ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "follows"),
    [
        ("https", "https", True), ("http", "https", True), ("http", "http", True),
        ("https", "http", False), ("https", "ftp", False),
    ],
)  # fmt: skip
def test_no_redirect_leaves_https(before: str, after: str, follows: bool) -> None:
    (handler,) = (
        h
        for h in opener(f"{before}://a.example/").handlers  # type: ignore[attr-defined]
        if isinstance(h, urllib.request.HTTPRedirectHandler)
    )
    request = urllib.request.Request(f"{before}://a.example/x")  # noqa: S310
    new = f"{after}://b.example/y"
    if follows:
        found = handler.redirect_request(request, BytesIO(), 302, "", HTTPMessage(), new)
        assert found is not None
        assert found.full_url == new
    else:
        with pytest.raises(UnsafeRedirectError, match="from https to"):
            handler.redirect_request(request, BytesIO(), 302, "", HTTPMessage(), new)


@pytest.mark.skipif(which("openssl") is None, reason="openssl makes the certificate of this test")
def test_a_download_and_a_key_stay_on_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with a certificate redirects to one without, which is never asked."""
    pem = tmp_path / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", pem, "-out", tmp_path / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Plan()) as plain:
        target = plain.url

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", target)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                self.do_GET()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            url = f"https://localhost:{server.server_port}"
            with pytest.raises(DownloadError, match="a redirect from https to http://127"):
                fetch_file(f"{url}/x", tmp_path / "x")
            with pytest.raises(EmbeddingError, match="HTTP 302; it redirects"):
                Endpoint(f"{url}/v1", "m").embed(["a"])
            server.shutdown()
            thread.join()
    assert plain.asked == []


# -- texts of servers -----------------------------------------------------------------------


def test_a_text_is_one_line_that_no_terminal_obeys() -> None:
    assert printable("a\x1b[31m\tb\r\nc\u202e d\x00") == "a [31m b c d"
    assert printable("é 漢字 ñ") == "é 漢字 ñ"
    assert printable("x" * 300) == "x" * 199 + "…"
