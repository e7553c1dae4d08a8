"""What `shoal doctor` finds of machines that are shown to it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from shoal.service import host_checks
from shoal.service.findings import Finding, State


def text(finding: Finding) -> str:
    return f"{finding.state}: {finding.text} → {finding.way_out}"


def test_packages_that_are_missing_or_too_old() -> None:
    needed = [
        "numpy>=1.0",
        "pydantic>=999.1",
        "no-such-package>=1; extra == 'serve'",
        "no-such-other; extra == 'map'",
        "uvloop>=0.20; platform_python_implementation == 'CPython' and extra == 'nope'",
    ]
    found = host_checks.packages(["serve"], needed)
    assert found.state == State.FAULT
    assert "no-such-package is missing" in found.text
    assert "older than 999.1" in found.text
    assert "no-such-other" not in found.text
    assert found.way_out == "pip install --upgrade 'shoal[serve]'"
    assert host_checks.packages([], needed[:1]).state == State.OK


def test_packages_of_this_installation() -> None:
    assert host_checks.packages(["serve", "client"]).state == State.OK


@pytest.mark.parametrize(
    ("environment", "share", "state"),
    [
        ({}, 4.0, "ok"),
        ({"NUMBA_NUM_THREADS": "512"}, 4.0, "warning"),
        ({"OMP_NUM_THREADS": "1"}, 4.0, "ok"),
        ({}, 0.5, "warning"),
    ],
)
def test_cores(environment: dict[str, str], share: float, state: str) -> None:
    assert host_checks.cores(environment, share).state == state


@pytest.mark.parametrize(
    ("free", "state"), [(500_000_000, "fault"), (2_000_000_000, "warning"), (4_000_000_000, "ok")]
)
def test_memory_for_two_versions(free: int, state: str) -> None:
    # a model of 1 GB and two workers of 250 MB: 1.5 GB for one version, 2.5 GB for two
    assert host_checks.memory(1_000_000_000, 2, free).state == state


def test_open_files() -> None:
    assert host_checks.open_files(256).state == State.WARNING
    assert host_checks.open_files(65_536).state == State.OK


def test_user() -> None:
    assert host_checks.user(0).state == State.WARNING
    assert host_checks.user(1000).state == State.OK


def test_a_temporary_folder_that_is_not_there(tmp_path: Path) -> None:
    assert host_checks.temporary_folder(tmp_path).state == State.OK
    gone = host_checks.temporary_folder(tmp_path / "gone")
    assert gone.state == State.WARNING
    assert "TMPDIR" in gone.way_out


def test_clocks() -> None:
    assert host_checks.clock(now=86_400.0).state == State.FAULT
    assert "1970-01-02" in host_checks.clock(now=86_400.0).text
    assert host_checks.clock(newest=2e9 + 7200, now=2e9).state == State.WARNING


def test_a_clock_that_differs_from_the_times_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    real = host_checks.time.time
    monkeypatch.setattr(host_checks.time, "time", lambda: real() + 3600)
    found = host_checks.clock()
    assert found.state == State.WARNING
    assert "-3600 s" in found.text


def test_a_port_in_use_and_a_free_one() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        taken = host_checks.port("127.0.0.1", number)
    assert taken.state == State.FAULT
    assert str(number) in taken.text
    assert host_checks.port("127.0.0.1", number).state == State.OK
    assert host_checks.port("203.0.113.7", 8000).state == State.FAULT  # no address of this machine


def test_file_systems() -> None:
    mounts = "\n".join(
        (
            "overlay / overlay rw 0 0",
            "server:/x /mnt/my\\040data nfs4 rw 0 0",
            "/dev/sda1 /mnt ext4 rw 0 0",
        )
    )
    assert host_checks.file_system(Path("/mnt/my data/events"), mounts) == "nfs4"
    assert host_checks.file_system(Path("/mnt/other"), mounts) == "ext4"
    assert host_checks.file_system(Path("/mnt2"), mounts) == "overlay"


def test_kernels_without_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from shoal.kernels import cache

    monkeypatch.setattr(cache, "kept_in", lambda _: None)
    assert host_checks.kernels().state == State.WARNING
    monkeypatch.setattr(cache, "kept_in", lambda _: tmp_path)
    assert "no kernel is compiled yet" in host_checks.kernels().text
    (tmp_path / "topk.nbi").touch()
    assert "1 compiled kernel" in host_checks.kernels().text
    if os.geteuid() != 0:  # root writes anywhere
        tmp_path.chmod(0o500)
        assert "cannot be written" in host_checks.kernels().text
        tmp_path.chmod(0o700)
