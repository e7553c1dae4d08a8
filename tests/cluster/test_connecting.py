"""Connecting: a Ray of one's own that leaves nothing behind, and places that are none."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

import shoal
from shoal.cluster.connecting import check_place, connect
from shoal.cluster.watching import SAID
from shoal.errors import ClusterError, ModelError
from shoal.run import Run
from tests.cluster.killing import wait_until_gone, workers

TMP = Path("/tmp")  # noqa: S108 - a short name, as sockets need
pytestmark = pytest.mark.timeout(300)  # a Ray starts in 5 s, and in a minute where all are busy
LOG = "user,item\n" + "".join(f"{u},{i}\n" for u in range(12) for i in range(u % 3, 8, u % 4 + 1))


Ended: TypeAlias = "subprocess.CompletedProcess[str]"


def shoal_alone(*arguments: object, cwd: Path, **environment: str) -> Ended:
    """A command of a process of its own, with no cluster in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "shoal", *map(str, arguments)],
        cwd=cwd,
        env=surroundings(cwd, **environment),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def surroundings(home: Path, **others: str) -> dict[str, str]:
    """The environment, without what it says of Ray, and with an empty home and threads fixed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    fixed = {"HOME": str(home), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return {**kept, **fixed, **others}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files, with a name short enough for sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="s", dir=TMP))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def test_a_ray_of_its_own_gives_the_same_bits_and_leaves_nothing(log: Path, place: Path) -> None:
    folder = log.parent
    fit = ("train", log, "--set", "l2=2", "--threads", 1, "--on", "ray", "--memory", "800MB")
    there = shoal_alone(*fit, "--out", folder / "there", cwd=folder, TMPDIR=str(place))
    assert there.returncode == 0, there.stderr
    here = shoal.EASE(l2=2).fit(shoal.read(log), run=Run(threads=1)).state()
    found = load_file(folder / "there" / "arrays.safetensors")
    assert found.keys() == here.keys()
    assert all(np.array_equal(found[name], here[name]) for name in here)
    lines = f"{there.stdout}{there.stderr}".replace(str(folder), "").lower()
    assert "ray" not in lines  # none of its own
    assert not (folder / ".ray").exists()  # its token was kept in no file
    assert list(place.iterdir()) == []


def family(pid: int) -> list[psutil.Process]:
    """The processes of the Ray that a process has started."""
    found = psutil.Process(pid).children(recursive=True)
    assert len(found) >= 5
    return found


def is_emptied(folder: Path) -> bool:
    """Whether what is in a folder vanishes within some seconds."""
    until = time.monotonic() + 20
    while list(folder.iterdir()) and time.monotonic() < until:
        time.sleep(0.1)
    return not list(folder.iterdir())


def test_nothing_is_left_of_a_ray_whose_process_was_killed(tmp_path: Path, place: Path) -> None:
    started = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\n"
            "from shoal.cluster.connecting import connect\n"
            "executor = connect('ray', threads=2, memory=500_000_000)\n"
            "executor.map(divmod, [7, 8], 4)\n"
            "print('here', flush=True)\n"
            "time.sleep(100)\n",
        ],
        env=surroundings(tmp_path, TMPDIR=str(place)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "here\n"
    processes = family(started.pid)
    assert [path.name[:10] for path in place.iterdir()] == ["shoal-ray-"]
    os.kill(started.pid, signal.SIGKILL)
    _, said = started.communicate()
    assert said.endswith(f"{SAID}\n")
    assert wait_until_gone(processes, 30) == []
    assert is_emptied(place)


def test_ctrl_c_ends_the_ray_of_a_command(log: Path, place: Path) -> None:
    for_ever = ("--model", "admm-slim", "--set", "tolerance=0", "--set", "max_iter=1000000000")
    there = ("--out", log.parent / "model", "--on", "ray", "--memory", "500MB")
    started = subprocess.Popen(
        [sys.executable, "-m", "shoal", "train", str(log), *for_ever, *map(str, there)],
        env=surroundings(log.parent, TMPDIR=str(place)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not workers("fit"):
        assert started.poll() is None
        time.sleep(0.05)
    processes = family(started.pid)
    assert [path.name[:10] for path in place.iterdir()] == ["shoal-ray-"]
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert said.endswith("error: interrupted; nothing was left half written\n")
    assert wait_until_gone(processes, 30) == []
    assert is_emptied(place)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs namespaces of processes")
def test_auto_where_there_is_no_cluster_says_what_to_do(log: Path) -> None:
    # Ray looks for heads among all processes of the machine
    alone = ("unshare", "--pid", "--fork", "--mount-proc")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs namespaces of processes")
    ended = subprocess.run(
        [*alone, sys.executable, "-m", "shoal", "train", log, "--out", "model", "--on", "auto"],
        env=surroundings(log.parent, RAY_TMPDIR=str(log.parent)),
        capture_output=True,
        text=True,
        cwd=log.parent,
        check=False,
    )
    assert ended.returncode == 2
    assert "this machine is part of no Ray cluster. Set RAY_ADDRESS" in ended.stderr
    assert not (log.parent / "model").exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("spark", "write ray, auto or http://HEAD:8265"),
        ("ray://head:10001", "Ray Client"),
        ("head:6379", "write ray, auto or http://HEAD:8265"),
    ],
)
def test_places_that_are_none_are_refused(place: str, told: str) -> None:
    with pytest.raises(ModelError, match=re.escape(told)):
        check_place(place)


def test_an_address_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    if ray.is_initialized():
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for address, told in (
        ("127.0.0.1:1", "nobody answers there"),
        ("head.invalid:6379", "nobody answers there"),
        ("ray://127.0.0.1:10001", "HOST:PORT"),
        ("head", "HOST:PORT"),
    ):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ClusterError, match=told):
            connect("auto")
