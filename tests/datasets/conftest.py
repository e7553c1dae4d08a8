"""Two servers on the loopback: one that publishes data sets, one that misbehaves as planned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shoal.datasets import download
from shoal.datasets.entries import ENTRIES
from shoal.datasets.fetch import Entry, RemoteFile

from .catalogue_helpers import Publish
from .download_helpers import Plan, handler

# -- the catalogue's mirror -----------------------------------------------------------------


class Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def __init__(self, *args: object, asked: list[str], directory: Path) -> None:
        self.asked = asked
        super().__init__(*args, directory=str(directory))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def mirror(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    serve = partial(Handler, asked=asked, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Serve these files as the data set's, and let the catalogue know nothing of their hashes."""

    def put(name: str, files: dict[str, bytes], rows: int | None = None) -> None:
        for file, content in files.items():
            (tmp_path / "mirror" / file).write_bytes(content)
        entry = ENTRIES[name]
        assert {file.name for file in entry.files} == set(files)
        known = {field: getattr(entry, field) for field in Entry.__dataclass_fields__}
        bare = tuple(RemoteFile(file.url) for file in entry.files)
        monkeypatch.setitem(ENTRIES, name, Entry(**known | {"files": bare, "rows": rows}))

    return put


# -- a server for downloads ------------------------------------------------------------------


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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once; a module that downloads uses this for all its tests."""
    monkeypatch.setattr(download, "_BACKOFF", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "data.bin"
