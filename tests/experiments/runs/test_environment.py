"""What a run says of the machine, and what it does not say."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
from pathlib import Path

import pytest

from shoal.experiments.runs.environment import commit, environment, shown_command, without_folders
from shoal.run import Run


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["shoal", "run", "e.yaml"], "shoal run e.yaml"),
        (["shoal", "--api-key", "s3cret", "x"], "shoal --api-key … x"),
        (["shoal", "--token=s3cret"], "shoal --token=…"),
        (["shoal", "--to", "http://anna:s3cret@host/x"], "shoal --to http://host/x"),
        (["/opt/venv/bin/shoal", "/home/anna/data/log.csv"], "shoal log.csv"),
        (["shoal", "--data", "books=/home/anna/log.csv"], "shoal --data books=log.csv"),
        (["shoal", "--data=/home/anna/my log.csv"], "shoal '--data=my log.csv'"),
    ],
)
def test_a_command_line_without_secrets_and_places(command: list[str], shown: str) -> None:
    assert shown_command(command) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/data/a.csv, line 3: bad", "a.csv, line 3: bad"),
        (
            "ratios 1/2 and a/b stay; '~/x/y.csv' does not",
            "ratios 1/2 and a/b stay; 'y.csv' does not",
        ),
        ("nothing here", "nothing here"),
    ],
)
def test_a_message_without_folders(text: str, shown: str) -> None:
    assert without_folders(text) == shown


def test_it_names_neither_user_nor_host_nor_folder(tmp_path: Path) -> None:
    told = environment(Run(threads=1), tmp_path, ["shoal", "run", str(tmp_path / "e.yaml")])
    assert told["threads"] == 1
    assert told["packages"]["numpy"]
    text = json.dumps(told)
    for name in (str(tmp_path), socket.gethostname(), str(Path.home()), getpass.getuser() + "/"):
        assert name not in text


def test_the_commit_of_a_repository(tmp_path: Path) -> None:
    assert commit(tmp_path) is None or commit(tmp_path) != ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert commit(tmp_path) is None  # no commit yet
    (tmp_path / "e.yaml").write_text("name: x")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert commit(tmp_path) == head.stdout.strip()
    (tmp_path / "e.yaml").write_text("name: y")
    assert commit(tmp_path) == f"{head.stdout.strip()}, and changes that are not committed"
