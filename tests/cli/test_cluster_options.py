"""``--on``: which commands take it, and what is refused before Ray is even loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Shoal = Callable[..., tuple[int, str, str]]
ON_A_CLUSTER = ("train", "evaluate", "tune", "run", "recommend")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in range(u % 4)))
    return path


@pytest.mark.parametrize("command", ON_A_CLUSTER)
def test_help_lists_the_places(shoal_command: Shoal, command: str) -> None:
    code, out, _ = shoal_command(command, "--help")
    assert code == 0
    assert "ray|auto|http://HEAD:8265" in out


def test_other_commands_know_no_places(shoal_command: Shoal, log: Path) -> None:
    code, _, err = shoal_command("info", log, "--on", "ray")
    assert code == 2
    assert "No such option" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--on", "spark"], "--on spark: write ray, auto or http://HEAD:8265"),
        (["--on", "ray://head:10001"], "Submit a job: --on http://HEAD:8265"),
        (["--on", "ray", "--device", "cuda:1"], "write cuda, and Ray gives each task a GPU"),
        (["--on", "http://127.0.0.1:1"], "log.csv: the job runs on a cluster"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    shoal_command: Shoal,
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(log.parent)
    code, _, err = shoal_command("train", "log.csv", "--out", "model", *options)
    assert code == 2
    assert told in err
    assert list(log.parent.iterdir()) == [log]


def test_torchrun_and_ray_do_not_both_start_processes(
    shoal_command: Shoal, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = shoal_command("train", log, "--out", log.parent / "m", "--on", "ray")
    assert code == 2
    assert "torchrun starts the processes itself" in err


def test_without_ray_the_message_names_the_extra(
    shoal_command: Shoal, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # both are set, and put back
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    code, _, err = shoal_command("train", log, "--out", log.parent / "m", "--on", "ray")
    assert code == 2
    assert "pip install 'shoal[cluster]'" in err
    assert not (log.parent / "m").exists()


def test_an_old_ray_is_refused(
    shoal_command: Shoal, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = type(sys)("ray")
    old.__dict__.update(__version__="2.51.0", is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "ray", old)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    code, _, err = shoal_command("train", log, "--out", log.parent / "m", "--on", "ray")
    assert code == 2
    assert "Ray 2.51.0 is too old" in err


def test_ray_is_not_loaded_without_a_place(log: Path) -> None:
    script = (
        "import sys\n"
        f"sys.argv = ['shoal', 'train', {str(log)!r}, '--out', {str(log.parent / 'm')!r}]\n"
        "from shoal.cli import main\n"
        "try:\n    main()\nfinally:\n    sys.exit(7 if 'ray' in sys.modules else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (log.parent / "m").is_dir()
