"""``shoal bucket``, and the commands that read what it writes as a log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shoal.artifact import load
from shoal.cli.app import program
from shoal.errors import ArtifactError, DataError
from tests.data.log_helpers import random_log


def call(*words: Any) -> dict[str, Any]:
    done = CliRunner().invoke(program(), [*map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    random_log(5, n_rows=900).write_csv(path)
    return path


def test_what_was_written_is_told(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    told = call("bucket", log, out, "--buckets", 6)
    files = list(out.glob("*.parquet"))
    assert (told["rows"], told["files"], told["user"]) == (900, len(files), "user")
    assert told["bytes"] == sum(file.stat().st_size for file in files)
    words = CliRunner().invoke(program(), ["bucket", str(log), str(tmp_path / "c")]).output
    assert "900 rows by user in" in words
    assert "next: shoal train" in words.replace("\n", " ")


def test_commands_give_the_numbers_of_the_log_itself(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    call("bucket", log, out, "--buckets", 6)
    ways = ("--min-value", 1, "--threads", 1)
    for words in (
        ("evaluate", "--model", "ease", "--metrics", "ndcg@10"),
        ("compare", "--models", "ease,popularity", "--metrics", "ndcg@10"),
        ("tune", "--model", "ease", "--trials", 2, "--metric", "ndcg@10", "--metrics", "ndcg@10"),
    ):
        command, *rest = words
        mine, theirs = (call(command, place, *rest, *ways) for place in (out, log))
        assert numbers(mine) == numbers(theirs), command
        assert len(numbers(mine)) > 5
    for place, model in ((out, "mine"), (log, "theirs")):
        call("train", place, "--model", "ease", "--out", tmp_path / model, *ways)
    mine_model, theirs_model = load(tmp_path / "mine"), load(tmp_path / "theirs")
    assert mine_model.fingerprint == theirs_model.fingerprint
    lists = [
        call("recommend", tmp_path / "mine", "--log", place, "--user", 4) for place in (out, log)
    ]
    assert lists[0] == lists[1]


def numbers(answer: Any, of: str = "") -> list[Any]:
    """Every measured mean, score and count of an answer, in its order."""
    if isinstance(answer, dict):
        return [number for name, value in answer.items() for number in numbers(value, name)]
    if isinstance(answer, list):
        return [number for value in answer for number in numbers(value, of)]
    told = ("mean", "score", "value", "rows_in", "rows_kept", "users", "items", "interactions")
    return [answer] if of in told else []


def test_a_folder_is_not_written_over_its_log_nor_over_others(log: Path, tmp_path: Path) -> None:
    runner = CliRunner()

    def refused(*words: Any) -> BaseException:
        error = runner.invoke(program(), [*map(str, words)]).exception
        assert error is not None
        return error

    inside = tmp_path / "b"
    call("bucket", log, inside)
    assert "is read by this command" in str(refused("bucket", inside, inside, "--overwrite"))
    assert isinstance(refused("bucket", log, inside), ArtifactError)
    call("bucket", log, inside, "--overwrite", "--buckets", 3)
    assert len(list(inside.glob("*.parquet"))) == 3
    assert isinstance(refused("bucket", log, tmp_path / "c", "--buckets", 0), DataError)
