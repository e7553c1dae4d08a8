"""Machines that are not alike or not in one place: refused before work, or survived.

They are processes in namespaces of their own: of mounts, where one sees other files, and of
networks, where the cable can be pulled.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import shoal
from shoal.cluster import connecting, submitting
from shoal.errors import ClusterError
from tests.cluster.head import Head, head, machine

pytestmark = pytest.mark.timeout(300)


def possible(*command: str) -> bool:
    """Whether this machine lets a test do so."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


CHECKS = """
import json, sys
from pathlib import Path
from shoal.cluster.connecting import connect
from shoal.errors import ShoalError
with connect("auto"):
    from shoal.cluster.checks import check_machines
    told = []
    for inputs, outputs in json.load(sys.stdin):
        try:
            check_machines(*({n: Path(p) for n, p in group.items()} for group in (inputs, outputs)))
        except ShoalError as error:
            told.append(str(error))
        else:
            told.append("")
print(json.dumps(told))
"""


def checked(cluster: Head, *questions: tuple[dict[str, str], dict[str, str]]) -> list[str]:
    """What is told of machines for each pair of inputs and outputs."""
    done = subprocess.run(
        [sys.executable, "-c", CHECKS],
        env=cluster.environment(RAY_ADDRESS=cluster.address),
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return list(json.loads(done.stdout))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Head]:
    with head() as started:
        yield started


@pytest.mark.skipif(not possible("unshare", "-m", "true"), reason="needs namespaces of mounts")
def test_a_path_that_only_this_machine_sees_is_refused(cluster: Head, tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    for folder in (shared, own):
        folder.mkdir()
        (folder / "log.csv").write_text("user,item\n1,2\n")
    hidden = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs none {own} && exec "$@"', "sh")
    with machine(cluster, inside=hidden):
        told = checked(
            cluster,
            ({"log": f"{shared}/log.csv"}, {"out": f"{shared}/model"}),
            ({"log": f"{own}/log.csv"}, {}),
            ({"items": f"{shared}/log.csv"}, {"out": f"{own}/new/model"}),
        )
    assert told[0] == ""
    assert f"does not see {own}/log.csv (LOG)" in told[1]
    assert f"does not share the folder of {own}/new/model (--out)" in told[2]
    assert [path.name for path in own.iterdir()] == ["log.csv"]


def test_a_machine_with_another_shoal_is_refused(cluster: Head, tmp_path: Path) -> None:
    package = Path(shoal.__file__).parent
    other = tmp_path / "other"
    shutil.copytree(package, other / "shoal", ignore=shutil.ignore_patterns("__pycache__"))
    (other / "shoal" / "_version.py").write_text('__version__ = "0.0.1"\n')
    with machine(cluster, PYTHONPATH=str(other)):
        (told,) = checked(cluster, ({}, {}))
    assert "has shoal 0.0.1, and this machine" in told
    assert "install the same on all machines" in told


CABLE = """
import json, subprocess, sys, time
from shoal.cluster.connecting import connect
with connect("auto") as machines:
    def task(number):
        import time
        time.sleep(0.2)
        return number * number
    before = machines.n_workers
    machines.map(task, range(9))
    subprocess.run(json.loads(sys.argv[1]), check=True)
    until = time.monotonic() + 60
    while machines.n_workers == before and time.monotonic() < until:
        time.sleep(0.2)
    found = machines.map(task, range(9))
    print(json.dumps([before, machines.n_workers, found]))
"""


@dataclass(frozen=True)
class Cable:
    """A namespace of networks, and the cable between it and this machine."""

    namespace: str
    near: str  # addresses of its ends
    far: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What runs a command in the namespace."""
        return ("ip", "netns", "exec", self.namespace)

    @property
    def pull(self) -> list[str]:
        """The command that cuts the connection; neither end gets a word of it."""
        return [*self.inside, "ip", "link", "set", "far", "down"]


@pytest.fixture
def cable() -> Iterator[Cable]:
    number = os.getpid() % 250
    one = Cable(f"shoal-{os.getpid()}", f"10.213.{number}.1", f"10.213.{number}.2")
    name, near = one.namespace, f"s{os.getpid()}"
    if not possible("ip", "netns", "add", name):
        pytest.skip("needs namespaces of networks")
    try:
        for command in (
            f"ip link add {near} type veth peer name far netns {name}",
            f"ip addr add {one.near}/24 dev {near}",
            f"ip link set {near} up",
            f"ip -n {name} addr add {one.far}/24 dev far",
            f"ip -n {name} link set far up",
            f"ip -n {name} link set lo up",
        ):
            subprocess.run(command.split(), check=True)
        yield one
    finally:
        subprocess.run(["ip", "link", "del", near], check=False)
        subprocess.run(["ip", "netns", "del", name], check=False)


# a machine that says nothing for two seconds is lost; Ray's own limits are above half a minute
IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


def test_a_machine_whose_cable_is_cut_gets_no_more_tasks(cable: Cable) -> None:
    with (
        head(cable.near, **IMPATIENT) as cluster,
        machine(cluster, f"--node-ip-address={cable.far}", inside=cable.inside),
    ):
        done = subprocess.run(
            [sys.executable, "-c", CABLE, json.dumps(cable.pull)],
            env=cluster.environment(RAY_ADDRESS=cluster.address),
            capture_output=True,
            text=True,
            check=True,
            timeout=150,
        )
    squares = [number * number for number in range(9)]
    assert json.loads(done.stdout) == [3, 2, squares]


def test_an_address_at_which_packets_vanish_is_refused_in_time(
    cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "10.214.0.1"  # by way of a machine that hands nothing on
    route = ("ip", "route", "add", f"{nowhere}/32", "via", cable.far)
    subprocess.run(route, check=True)
    monkeypatch.setattr(connecting, "ANSWER", 1.5)
    monkeypatch.setattr(submitting, "ANSWER", 1.5)
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"nobody answers there within .* \(timed out\)"):
        connecting.check_answer(f"{nowhere}:6379")
    with pytest.raises(ClusterError, match=r"nobody answers there within .* \(timed out\)"):
        submitting.submit(f"http://{nowhere}:8265", ["train"], {}, write=print, say=print)
    assert time.monotonic() - began < 10
