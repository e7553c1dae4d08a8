"""Commands that are submitted to a cluster elsewhere, or join the one that they are in."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import shoal
from shoal.cluster.submitting import on_auto, submit
from shoal.errors import ClusterError
from shoal.run import Run
from tests.cluster.head import Head, head

pytestmark = pytest.mark.timeout(300)
LOG = "user,item\n" + "".join(f"{u},{i}\n" for u in range(12) for i in range(u % 3, 8, u % 4 + 1))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    with head() as started:
        yield started


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def command(*arguments: object, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shoal", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def assert_same_bits(folder: Path, log: Path) -> None:
    here = shoal.EASE(l2=2).fit(shoal.read(log), run=Run(threads=1)).state()
    there = load_file(folder / "arrays.safetensors")
    assert there.keys() == here.keys()
    assert all(np.array_equal(there[name], here[name]) for name in here)


def test_a_job_prints_what_the_command_prints_and_does_the_same(cluster: Head, log: Path) -> None:
    out = log.parent / "model"
    ended = command(
        *("train", log, "--set", "l2=2", "--out", out, "--json", "--on", cluster.dashboard),
        environment=cluster.environment(),
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["folder"] == str(out)  # and nothing of Ray's beside it
    assert ended.stderr.splitlines()[-1].endswith("Ctrl-C stops it")
    assert_same_bits(out, log)


def test_a_job_that_fails_passes_on_message_and_exit_code(
    cluster: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", cluster.token)
    printed: list[str] = []
    missing = tmp_path / "missing.csv"
    line = ["train", str(missing), "--out", str(tmp_path / "m"), "--on", cluster.dashboard]
    code = submit(cluster.dashboard, line, {"log": missing}, write=printed.append, say=print)
    assert code == 2
    assert "".join(printed) == f"error: {missing}: no such file\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_stops_the_job_and_says_so(cluster: Head, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.csv")  # reading it waits for a writer, who never comes
    followed = subprocess.Popen(
        [
            *(sys.executable, "-m", "shoal", "train", tmp_path / "log.csv"),
            *("--out", tmp_path / "model", "--on", cluster.dashboard),
        ],
        env=cluster.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert followed.stderr is not None
    first = followed.stderr.readline()
    assert first.startswith("job ")
    job = first.split()[1]
    followed.send_signal(signal.SIGINT)
    _, said = followed.communicate(timeout=100)
    assert followed.returncode == 130
    assert f"job {job} is stopped" in said


@pytest.mark.parametrize(("token", "told"), [("", "wants a token"), ("x" * 64, "does not take")])
def test_who_has_not_the_token_is_told_where_it_is(
    cluster: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, told: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with pytest.raises(ClusterError, match=f"{told}.*get-auth-token"):
        submit(cluster.dashboard, ["train"], {}, write=print, say=print)


def test_addresses_that_are_no_dashboard_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"nobody answers there.*ssh -L"):
        submit("http://127.0.0.1:1", ["train"], {}, write=print, say=print)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(ClusterError, match="is no dashboard of Ray"):
            submit(address, ["train"], {}, write=print, say=print)
        server.shutdown()
    with pytest.raises(ClusterError, match=r"log\.csv: the job runs on a cluster"):
        submit("http://127.0.0.1:1", ["train"], {"log": Path("log.csv")}, write=print, say=print)


def test_the_command_line_of_a_job_is_the_same_but_for_the_place() -> None:
    given = ["train", "/a b.csv", "--on", "http://h:8265", "--set", "l2=2"]
    assert on_auto(given) == ["train", "/a b.csv", "--on=auto", "--set", "l2=2"]
    assert on_auto(["--on=http://h:1", "--", "--on"]) == ["--on=auto", "--", "--on"]


def test_auto_joins_the_cluster_that_the_environment_names(cluster: Head, log: Path) -> None:
    out = log.parent / "model"
    ended = command(
        *("train", log, "--set", "l2=2", "--out", out, "--on", "auto"),
        environment=cluster.environment(RAY_ADDRESS=cluster.address),
    )
    assert ended.returncode == 0, ended.stderr
    assert_same_bits(out, log)


def test_auto_without_the_token_is_an_error_and_no_page_of_rays(cluster: Head, log: Path) -> None:
    out = log.parent / "model"
    ended = command(
        *("train", log, "--out", out, "--on", "auto"),
        environment=cluster.environment(RAY_ADDRESS=cluster.address, RAY_AUTH_TOKEN="x" * 64),
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "does not let this process in" in ended.stderr
    assert not out.exists()


def test_auto_takes_what_answers_otherwise_for_no_head(cluster: Head, log: Path) -> None:
    dashboard = cluster.dashboard.removeprefix("http://")
    ended = command(
        *("train", log, "--out", log.parent / "model", "--on", "auto"),
        environment=cluster.environment(RAY_ADDRESS=dashboard),
    )
    assert ended.returncode == 2
    assert "is no head of a Ray cluster" in ended.stderr
