"""``shoal doctor``: what it finds of a sound installation, and of some that are not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.artifact import Store
from shoal.events import EventStore
from shoal.service.security import make_key

Shoal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def port() -> int:
    """One that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def examined(shoal_command: Shoal, port: int) -> Callable[..., tuple[int, dict[str, Any]]]:
    """The exit code, and the checks by name."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        code, out, err = shoal_command("doctor", *arguments, "--port", port, "--json")
        assert err == ""
        return code, {check["check"]: check for check in json.loads(out)["checks"]}

    return run


def test_a_sound_installation(examined: Any, model: Path, tmp_path: Path) -> None:
    live = Store(tmp_path / "store", create=True).publish(model).name
    EventStore(tmp_path / "events.sqlite").close()
    code, checks = examined(tmp_path / "store", "--events", tmp_path / "events.sqlite")
    assert code == 0
    assert f"1 version, {live} is live" in checks["store"]["text"]
    assert "ease, 40 items" in checks["model"]["text"]
    assert checks["database"]["text"].endswith("answers, 0 events")
    assert checks["keys"]["state"] == "ok"
    names = {"python", "packages", "user", "cores", "open files", "temporary folder", "store"}
    assert names | {"model", "kernels", "memory", "disk", "clock", "port"} <= set(checks)
    assert all(check["way_out"] for check in checks.values() if check["state"] != "ok")


def test_a_model_folder_is_served_but_never_replaced(examined: Any, model: Path) -> None:
    code, checks = examined(model)
    assert (code, checks["store"]["state"]) == (0, "warning")
    assert "shoal publish" in checks["store"]["way_out"]


def test_without_a_model_the_rest_is_checked(examined: Any) -> None:
    code, checks = examined()
    assert code == 0
    assert "model" not in checks
    assert "packages" in checks


def test_a_broken_live_version(examined: Any, model: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", create=True)
    arrays = store.folder(store.publish(model).name) / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-4])
    code, checks = examined(store.path)
    assert (code, checks["model"]["state"], checks["store"]["state"]) == (1, "fault", "warning")
    assert "truncated" in checks["model"]["text"]


def test_a_store_without_a_live_version(examined: Any, tmp_path: Path) -> None:
    Store(tmp_path / "store", create=True)
    code, checks = examined(tmp_path / "store")
    assert (code, checks["store"]["state"]) == (1, "fault")
    code, checks = examined(tmp_path / "nothing")
    assert (code, checks["model"]["state"]) == (1, "fault")


def test_an_address_that_others_reach_needs_a_key(examined: Any, tmp_path: Path) -> None:
    code, checks = examined("--host", "0.0.0.0")  # noqa: S104 - refused, which is the point
    assert (code, checks["keys"]["state"]) == (1, "fault")
    file = tmp_path / "keys"
    make_key("read", file)
    code, checks = examined("--host", "0.0.0.0", "--keys", file)  # noqa: S104
    assert (code, checks["keys"]["state"]) == (0, "ok")
    file.chmod(0o644)
    code, checks = examined("--host", "0.0.0.0", "--keys", file)  # noqa: S104
    assert (code, checks["keys"]["state"]) == (1, "fault")
    assert "chmod 600" in checks["keys"]["text"]


def test_a_key_in_the_configuration(examined: Any, model: Path, tmp_path: Path) -> None:
    config = tmp_path / "serve.yaml"
    config.write_text(f"model: {model}\nread_key: 0123456789abcdef0123\n")
    code, checks = examined("--config", config)
    assert (code, checks["keys"]["state"]) == (0, "warning")
    assert "0123456789abcdef0123" not in json.dumps(checks)


def test_a_database_that_is_not_there(examined: Any) -> None:
    url = "postgresql://shoal:s3cret@127.0.0.1:1/events"
    code, checks = examined("--events", url)
    assert (code, checks["database"]["state"]) == (1, "fault")
    assert "127.0.0.1" in checks["database"]["text"]
    assert "s3cret" not in json.dumps(checks)


def test_a_file_of_events_that_is_none(examined: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n1,2\n")
    for file in (tmp_path / "log.csv", tmp_path / "no" / "x.db"):
        code, checks = examined("--events", file)
        assert (code, checks["database"]["state"]) == (1, "fault")
        assert checks["database"]["way_out"].startswith("name a new file")


def test_what_a_person_reads(shoal_command: Shoal, port: int) -> None:
    code, out, _ = shoal_command("doctor", "--host", "0.0.0.0", "--port", port)  # noqa: S104
    assert code == 1
    assert "✗ keys: 0.0.0.0 can be reached by others" in out
    assert "1 fault, " in out
