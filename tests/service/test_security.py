"""Keys, hosts, origins, rates, and what must not be in logs."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from shoal.service.rates import RateLimit
from shoal.service.routes import all_endpoints
from shoal.service.security import Key, Keys, host_name, is_loopback, make_key, read_key_file
from shoal.service.settings import ServiceError, make_settings

EVERYWHERE = "0.0.0.0"  # noqa: S104
READ, ADMIN = "read-" + "r" * 40, "admin-" + "a" * 40
ENDPOINTS = [e for e in all_endpoints() if e.access != "open"]


@pytest.fixture
def guarded(client: Any) -> Any:
    return client(read_key=READ, admin_key=ADMIN, base_url="http://shop.example")


def ask(made: Any, method: str, path: str, key: str | None, header: str = "bearer") -> Any:
    headers = {"Origin": "http://shop.example"}  # forms of pages are taken from there alone
    if key is not None:
        headers |= {"Authorization": f"Bearer {key}"} if header == "bearer" else {"X-API-Key": key}
    path = re.sub(r"\{\w+(:\w+)?\}", "x", path)
    body = None if method in ("GET", "DELETE") else {}
    return made.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
@pytest.mark.parametrize("header", ["bearer", "x-api-key"])
def test_every_route_but_health_asks_for_a_key(guarded: Any, endpoint: Any, header: str) -> None:
    def status(key: str | None) -> int:
        return ask(guarded, endpoint.method, endpoint.path, key, header).status_code

    assert status(None) == 401
    assert status("wrong-" + "r" * 40) == 401
    assert status(READ[:-1]) == 401
    assert status(READ) not in (401, 403) if endpoint.access == "read" else status(READ) == 403
    assert status(ADMIN) not in (401, 403)


def test_health_and_unknown_paths_without_a_key(guarded: Any) -> None:
    for path in ("/live", "/ready", "/v1/live", "/v1/ready"):
        assert guarded.get(path).status_code == 200
    for path in ("/metrics", "/v1/nothing", "/v1/live/", "/admin"):
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["errors"] == []


def test_all_keys_are_compared_whatever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    keys = [Key.of("read", READ), Key.of("admin", ADMIN), Key.of("read", "third-" + "t" * 30)]
    fits = Key.fits
    monkeypatch.setattr(Key, "fits", lambda key, text: compared.append(key) or fits(key, text))
    for text, role in ((READ, "read"), (ADMIN, "admin"), ("x", None)):
        compared.clear()
        assert Keys(keys).role_of(text.encode()) == role
        assert compared == keys


def test_a_key_file_holds_salted_hashes_and_only_its_owner_reads_it(
    tmp_path: Path, client: Any
) -> None:
    file = tmp_path / "keys"
    read, admin = make_key("read", file), make_key("admin", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_text()
    assert read not in content
    assert len({json.loads(line)["salt"] for line in content.splitlines()}) == 2
    assert len(read) > 40  # 256 bits
    made = client(keys=file)
    assert ask(made, "POST", "/v1/recommend", read).status_code == 422
    assert ask(made, "POST", "/v1/recommend", admin).status_code == 422
    assert ask(made, "POST", "/v1/recommend", None).status_code == 401


@pytest.mark.parametrize(
    "content", ["", "{}", "hunter2", '{"role": "root", "salt": "", "sha256": ""}']
)
def test_a_file_that_holds_no_keys_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ServiceError, match="key"):
        read_key_file(file)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    make_key("read", file)
    file.chmod(0o644)
    with pytest.raises(ServiceError, match="chmod 600"):
        read_key_file(file)


def test_without_a_key_only_this_machine_is_listened_to(client: Any) -> None:
    with pytest.raises(ServiceError, match="SHOAL_READ_KEY"):
        client(host=EVERYWHERE)
    with pytest.raises(ServiceError, match="characters"):
        client(read_key="short")
    assert client(host=EVERYWHERE, read_key=READ).get("/live").status_code == 200


def test_names_and_origins_of_strangers_are_refused_without_a_key(client: Any) -> None:
    made = client()
    body = {"history": [10]}
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"):
        assert made.post("/v1/recommend", json=body, headers={"Host": host}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:127", ""):
        assert made.post("/v1/recommend", json=body, headers={"Host": host}).status_code == 421
    page = {"Origin": "https://evil.example"}
    assert made.post("/v1/recommend", json=body, headers=page).status_code == 403
    own = {"Origin": "http://127.0.0.1"}
    assert made.post("/v1/recommend", json=body, headers=own).status_code == 200
    named = client(allowed_hosts=("shop.internal",))
    assert named.get("/v1/recommend/x", headers={"Host": "shop.internal"}).status_code == 200


def test_cors_is_off_unless_configured(client: Any) -> None:
    ask_first = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key",
    }
    closed = client(read_key=READ).options("/v1/recommend", headers=ask_first)
    assert closed.status_code >= 400
    assert "access-control-allow-origin" not in closed.headers
    made = client(read_key=READ, cors=("https://shop.example",))
    opened = made.options("/v1/recommend", headers=ask_first)
    assert opened.status_code == 200
    assert opened.headers["access-control-allow-origin"] == "https://shop.example"
    other = made.options("/v1/recommend", headers={**ask_first, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    with pytest.raises(ServiceError, match="origin"):
        make_settings(model=Path(), cors=("shop.example",))


def test_security_headers_are_on_every_answer(guarded: Any) -> None:
    for answer in (guarded.get("/live"), guarded.get("/nothing"), guarded.get("/openapi.json")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
    answer = ask(guarded, "POST", "/v1/recommend", READ)
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_rate_is_kept_for_each_client() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 3, lambda: now[0])
    assert [limit.wait_for("a") for _ in range(3)] == [0, 0, 0]
    assert limit.wait_for("a") == pytest.approx(0.5)
    assert limit.wait_for("b") == 0
    now[0] = 0.5  # one more token
    assert limit.wait_for("a") == 0
    assert limit.wait_for("a") == pytest.approx(0.5)


def test_too_many_requests_are_told_when_to_come_again(client: Any) -> None:
    made = client(rate_limit=0.001, rate_burst=2, read_key=READ, admin_key=ADMIN)
    statuses = [ask(made, "POST", "/v1/recommend", READ).status_code for _ in range(3)]
    assert statuses == [422, 422, 429]
    answer = ask(made, "POST", "/v1/recommend", READ)
    assert int(answer.headers["retry-after"]) >= 1
    assert ask(made, "POST", "/v1/recommend", ADMIN).status_code == 422  # another key


def test_logs_hold_no_key_no_id_and_no_query(
    client: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    made = client(read_key=READ, admin_key=ADMIN, log_level="debug")
    for key in (READ, ADMIN, "guess-" + "g" * 40):
        ask(made, "POST", "/v1/recommend", key)
        made.post(
            "/v1/recommend",
            json={"history": ["secret-item"], "user": "secret-user", "filter": "secret > 1"},
            headers={"X-API-Key": key},
        )
        made.get("/v1/recommend/secret-user?k=2&secret=1", headers={"X-API-Key": key})
        made.get("/v1/secret-path", headers={"X-API-Key": key})
    made.post("/v1/recommend", content=b'{"secret', headers={"X-API-Key": READ})
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert len(lines) >= 13
    for line in lines:
        entry = json.loads(line)
        assert {"time", "level", "message", "pid"} <= set(entry)
    routes = {json.loads(line).get("route") for line in lines}
    assert {"/v1/recommend", "/v1/recommend/{user}", "(no route)"} <= routes
    for secret in ("secret", READ, ADMIN, "guess-", "r" * 20, "a" * 20, "g" * 20):
        assert secret not in err + out


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     (EVERYWHERE, False), ("::", False), ("10.0.0.1", False), ("localhost.evil", False),
     ("", False)],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_name_in_a_host_header() -> None:
    assert host_name(b"Example.org:80") == "example.org"
    assert host_name(b"[::1]:80") == "::1"
    assert host_name(b"::1") == "::1"
