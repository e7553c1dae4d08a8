"""``shoal recommend --all``: lists for everyone in parts, as schedulers start them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

Shoal = Callable[..., tuple[int, str, str]]


def test_parts_one_by_one_are_the_table_of_one_run(
    model: Path, ratings: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    rules = ("-k", 3, "--exclude", "1,101", "--because")
    code, _, err = shoal_command(
        "recommend", model, "--all", ratings, *rules, "--out", tmp_path / "whole.parquet"
    )
    assert code == 0, err
    asked = ("recommend", model, "--all", ratings, *rules, "--out", tmp_path / "lists")
    for shard in (1, 0):
        code, text, err = shoal_command(*asked, "--shard", f"{shard}/3")
        assert code == 0, err
        assert f"made: part {shard} of 3" in text
        assert "other parts are missing" in text
    code, text, _ = shoal_command(*asked, "--shards", 3, "--status")
    assert code == 1
    assert "2 of 3 parts are there" in text
    assert "missing: 2" in text
    code, text, _ = shoal_command(*asked, "--shards", 3, "--status", "--json")
    assert code == 1
    assert json.loads(text) == {
        **{"folder": str(tmp_path / "lists"), "shards": 3, "there": 2},
        **{"missing": [2], "damaged": []},
    }
    code, text, _ = shoal_command(*asked, "--shard", "2/3")
    assert "all 3 parts are there: 360 recommendations for 120 users" in text
    code, text, _ = shoal_command(*asked, "--shards", 3, "--status")
    assert (code, "3 of 3 parts are there" in text) == (0, True)
    whole = pl.read_parquet(tmp_path / "whole.parquet")
    assert pl.read_parquet(tmp_path / "lists" / "part-*.parquet").equals(whole)
    code, text, _ = shoal_command(*asked, "--shards", 3, "--json")
    answer = json.loads(text)
    assert (answer["made"], answer["were_there"]) == ([], [0, 1, 2])
    assert (answer["complete"], answer["rows"], answer["users"]) == (True, 360, 120)
    code, _, err = shoal_command(*asked, "--shards", 4)
    assert code == 2
    assert "holds other lists: shards is 3, not 4" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--shard", "/4"), "is the variable of your scheduler set?"),
        (("--shard", "4/4"), "the first is 0/4 and the last 3/4"),
        (("--shard", "-1/4"), "the first is 0/4 and the last 3/4"),
        (("--shard", "0/4", "--shards", 4), "give one of both"),
        (("--status",), "--status goes with --shards N"),
        (("--shards", 4, "--overwrite"), "--overwrite"),
        (("--shards", 4, "--user", "u001"), "leave out --user"),
    ],
)
def test_what_does_not_go_together_is_refused(
    model: Path,
    ratings: Path,
    shoal_command: Shoal,
    tmp_path: Path,
    options: tuple[object, ...],
    told: str,
) -> None:
    asked = ("recommend", model, "--all", ratings, "--out", tmp_path / "lists")
    code, _, err = shoal_command(*asked, *options)
    assert code == 2
    assert told in err
    assert not (tmp_path / "lists").exists()


def test_parts_need_a_folder_of_their_own(model: Path, ratings: Path, shoal_command: Shoal) -> None:
    asked = ("recommend", model, "--all", ratings, "--shards", 2)
    for out, told in (
        ((), "give --out FOLDER"),
        (("--out", model), "is read by this command"),
        (("--out", model / "lists"), "lies in the model folder"),
        (("--out", ratings.parent), "which is read by this command"),
    ):
        code, _, err = shoal_command(*asked, *out)
        assert code == 2
        assert told in err
    code, _, err = shoal_command("recommend", model, "--history", "1", "--shards", 2)
    assert code == 2
    assert "--shards is for everyone: give --all LOG" in err


def test_the_schedulers_commands_of_the_documents(
    model: Path, ratings: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    """One part by the Kubernetes job of docs/recommending.md, the others by its Slurm script."""
    code, _, err = shoal_command("bucket", ratings, tmp_path / "buckets", "--buckets", 4)
    assert code == 0, err
    page = (Path(__file__).parents[2] / "docs" / "recommending.md").read_text()
    jobs = re.findall(r"```yaml\n(apiVersion: batch.*?)```", page, re.DOTALL)
    scripts = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", page, re.DOTALL)
    assert (len(jobs), len(scripts)) == (1, 1)
    job = yaml.safe_load(jobs[0])["spec"]
    container = job["template"]["spec"]["containers"][0]
    commands = [
        [*container["command"], *(text for text in container["args"])],
        ["bash", "-c", scripts[0]],
        ["bash", "-c", scripts[0]],
    ]
    assert f"/{job['completions']} " in container["args"][0]
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "shoal"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shoal "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    running = []
    for shard, command in enumerate(commands):
        here = [
            text.replace("/data/models/ease", str(model))
            .replace("/data/", f"{tmp_path}/")
            .replace("/64", "/3")
            for text in command
        ]
        numbers = {"JOB_COMPLETION_INDEX": str(shard), "SLURM_ARRAY_TASK_ID": str(shard)}
        numbers["SLURM_CPUS_PER_TASK"] = "1"
        running.append(subprocess.Popen(here, env=environment | numbers))
    assert [process.wait(100) for process in running] == [0, 0, 0]
    code, _, err = shoal_command(
        "recommend", model, "--all", ratings, "--out", tmp_path / "whole.parquet"
    )
    assert code == 0, err
    lists = pl.read_parquet(tmp_path / "lists" / "part-*.parquet").sort("user", "rank")
    assert lists.equals(pl.read_parquet(tmp_path / "whole.parquet"))
    assert (tmp_path / "lists" / "_manifest.json").is_file()


def test_numbers_in_a_divided_text_file_stay_text(
    ratings: Path, shoal_command: Shoal, tmp_path: Path
) -> None:
    """No process that reads some files can know that the ids in all of them are numbers."""
    log = pl.read_csv(ratings).with_columns(pl.col("userId").str.strip_chars("u0") + "1")
    log.write_csv(tmp_path / "log.csv")
    for arguments in (
        ("train", tmp_path / "log.csv", "--min-value", 4, "--out", tmp_path / "m"),
        ("bucket", tmp_path / "log.csv", tmp_path / "b", "--buckets", 3),
        ("recommend", tmp_path / "m", "--all", tmp_path / "b", "--out", tmp_path / "lists"),
        ("recommend", tmp_path / "m", "--all", tmp_path / "log.csv", "--out", tmp_path / "w.csv"),
    ):
        more = ("--shards", 3) if arguments[-1] == tmp_path / "lists" else ()
        code, _, err = shoal_command(*arguments, *more)
        assert code == 0, err
    lists = pl.read_parquet(tmp_path / "lists" / "part-*.parquet")
    assert lists.schema["user"] == pl.String
    for part in (tmp_path / "lists").glob("part-*"):
        assert pl.read_parquet(part)["user"].is_sorted()
    whole = pl.read_csv(tmp_path / "w.csv", schema_overrides={"user": pl.String})
    order = ["user", "rank"]
    assert (
        lists.sort(order)
        .select("user", "item", "rank")
        .equals(whole.sort(order).select("user", "item", "rank").cast({"rank": pl.Int32}))
    )
