"""Machines that are not alike or not in one place: refused before work, or survived.

They are processes in namespaces of their own: of mounts, where one sees other files, and of
networks, where the cable can be pulled.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shoal
from tests.cluster.head import Head, head, machine

pytestmark = pytest.mark.timeout(240)


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
