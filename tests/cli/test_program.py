"""The program as a whole: --help, --version, errors of one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shoal = Callable[..., tuple[int, str, str]]


BAD: list[tuple[list[Any], str]] = [
    (["train", "none.csv", "--out", "m"], "none.csv: no such file"),
    (["train", "RATINGS", "--model", "eas", "--out", "m"], "Did you mean ease"),
    (["train", "RATINGS", "--set", "l2=-1", "--out", "m"], "l2"),
    (["train", "RATINGS", "--set", "lambda=1", "--out", "m"], "no hyper-parameter 'lambda'"),
    (["train", "RATINGS", "--set", "l2", "--out", "m"], "name=value"),
    (["train", "RATINGS", "--columns", "item=film", "--out", "m"], "no column 'film'"),
    (["train", "RATINGS", "--memory", "lots", "--out", "m"], "8GB"),
    (
        ["train", "RATINGS", "--memory", "4kB", "--out", "m"],
        "`shoal plan` lists them",
    ),
    (["train", "RATINGS", "--min-value", "9", "--out", "m"], "no interaction is left"),
    (["train", "RATINGS", "--values", "some", "--out", "m"], "binary, keep"),
    (["train", "RATINGS", "--threads", "0", "--out", "m"], "threads"),
    (["evaluate"], "name a log"),
    (["evaluate", "RATINGS", "--train", "x"], "either one log"),
    (["evaluate", "RATINGS", "--split", "odd"], "no split 'odd'"),
    (["evaluate", "RATINGS", "--metrics", "ndcg@0"], "k must be 1"),
    (["evaluate", "RATINGS", "--metrics", "accuracy@5"], "no metric 'accuracy@5'"),
    (["compare", "RATINGS", "--models", "ease,nope"], "no model is called 'nope'"),
    (["compare", "RATINGS", "--models", "ease", "--set", "l2=3"], "MODEL.parameter"),
    (["recommend", "none", "--history", "1"], "no such folder"),
    (["recommend", "MODEL", "--history", "1", "-k", "0"], "k=0"),
    (["recommend", "MODEL", "--history", "1", "-k", "41"], "catalogue of 40"),
    (["recommend", "MODEL", "--history", "x,y", "--fallback", "none"], "none of the 2 items"),
    (["recommend", "MODEL"], "either --history"),
    (["recommend", "MODEL", "--history", "1", "--user", "u001"], "--user goes with --log"),
    (["recommend", "MODEL", "--log", "RATINGS", "--user", "ghost"], "'ghost' is not in the log"),
    (["recommend", "MODEL", "--log", "RATINGS", "--out", "r.xls"], "ends in .parquet or .csv"),
    (["data", "fetch", "ml-2m"], "ml-1m"),
    (["train", "RATINGS", "--seed", "-1", "--out", "m"], "seed=-1"),
    (["train", "RATINGS", "--out", "RATINGS"], "no model folder"),
    (["train", "RATINGS", "--k-core", "-1", "--out", "m"], "--k-core -1"),
    (["train", "RATINGS", "--min-value", "nan", "--out", "m"], "give a number"),
    (["train", "RATINGS", "--device", "abacus", "--out", "m"], "write cpu, cuda"),
    (["evaluate", "RATINGS", "--per-user", "x.txt"], "ends in .parquet or .csv"),
    (["evaluate", "RATINGS", "--per-user", "no/x.csv"], "there is no folder no"),
    (["recommend", "MODEL", "--history", "1", "--out", "r.csv"], "--out goes with --log"),
    (["similar", "MODEL", "1", "-k", "99"], "catalogue of 40"),
    (["demo", "--to", "RATINGS"], "ratings.csv"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(map(str, a)) for a, _ in BAD])
@pytest.mark.parametrize("as_json", [False, True])
def test_bad_input_is_one_line_that_names_the_way_out(
    model: Path,
    ratings: Path,
    shoal_command: Shoal,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[Any],
    message: str,
    as_json: bool,
) -> None:
    monkeypatch.chdir(ratings.parent)
    given = [{"RATINGS": ratings, "MODEL": model}.get(a, a) for a in arguments]
    code, out, err = shoal_command(*given, *(["--json"] if as_json else []))
    assert code == 2
    text = json.loads(out)["error"] if as_json else err
    assert message in text
    assert "Traceback" not in out + err
    assert not Path("m").exists()


def test_help_is_quick_to_import_and_names_every_command() -> None:
    """`shoal --help` must not import the numerics."""
    script = (
        "import sys; sys.argv = ['shoal', '--help']\n"
        "from shoal.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numba', 'numpy', 'scipy', 'polars', 'torch', 'ray', 'matplotlib'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for command in ("demo", "train", "evaluate", "recommend", "compare", "similar", "data", "info"):
        assert command in done.stdout


def test_version(shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("--version")
    assert code == 0
    assert text.startswith("shoal 0.")
