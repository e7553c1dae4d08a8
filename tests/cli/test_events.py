"""``shoal events``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from shoal.events import Event, EventStore

Shoal = Callable[..., tuple[int, str, str]]
DAY = 86_400


@pytest.fixture
def log(tmp_path: Path) -> Path:
    now = int(time.time())
    pl.DataFrame(
        {
            "user": ["ann", "ann", "bob", "carl"],
            "item": [1, 2, 1, 3],
            "event": ["view", "purchase", "view", "view"],
            "time": [now - 100 * DAY, now - 80 * DAY, now - 2 * DAY, now],
        }
    ).write_csv(tmp_path / "log.csv")
    return tmp_path / "log.csv"


def test_from_a_log_to_a_log(shoal_command: Shoal, log: Path, tmp_path: Path) -> None:
    database = tmp_path / "events.db"
    code, out, err = shoal_command("events", "import", database, log)
    assert code == 0, err
    assert "4 events stored of 4 rows" in out
    code, out, _ = shoal_command("events", "import", database, log, "--json")
    assert json.loads(out)["duplicates"] == 4
    code, out, _ = shoal_command("events", "show", database)
    assert "4 events of 3 users" in out
    assert "tables of version 3" in out
    code, out, _ = shoal_command("events", "prune", database, "--older-than", "90d", "--json")
    assert json.loads(out) == {"removed": 1}
    code, out, _ = shoal_command("events", "delete-user", database, "ann", "--json")
    assert json.loads(out) == {"user": "ann", "removed": 1}
    code, out, _ = shoal_command("events", "export", database, tmp_path / "out.parquet", "--json")
    assert json.loads(out)["events"] == 2
    assert pl.read_parquet(tmp_path / "out.parquet")["user"].to_list() == ["bob", "carl"]
    code, out, err = shoal_command(
        "data", "show", tmp_path / "out.parquet", "--weights", "view=1,purchase=5", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["users"] == 2


def test_show_says_what_users_did_with_lists(shoal_command: Shoal, tmp_path: Path) -> None:
    database = tmp_path / "events.db"
    with EventStore(database) as store:
        store.impressions("r", "ann", [1, 2, 3, 4], model="ease", version="v7")
        store.append([Event("ann", 2, "purchase", request_id="r")])
    _, out, _ = shoal_command("events", "show", database)
    row = next(line.split() for line in out.splitlines() if line.startswith("ease"))
    assert row == ["ease", "v7", "purchase", "1", "4", "1", "25.00%"]
    _, out, _ = shoal_command("events", "show", database, "--json")
    assert json.loads(out)["clicks"] == [
        {
            **{"model": "ease", "version": "v7", "type": "purchase", "lists": 1},
            **{"impressions": 4, "clicks": 1, "rate": 0.25},
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nope.db"), "nope.db: there is no such database"),
        (("import", "new.db", "nope.csv"), "nope.csv: there is no such file"),
        (("prune", "nope.db", "--older-than", "soon"), "--older-than soon: write an age such as"),
        (("show", "mysql://u:geheim@h/d"), "mysql:// is no database"),
        (("show", "postgresql://u:geheim@127.0.0.1:1/d"), "the database d at 127.0.0.1:1"),
        (("import", "e.db", "{log}", "--columns", "user=no"), "has no column 'no'"),
        (("import", "e.db", "{log}", "--missing", "maybe"), "--missing maybe: write one of"),
    ],
)
def test_what_is_refused(
    shoal_command: Shoal, log: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(log.parent)
    code, out, err = shoal_command("events", *(a.replace("{log}", str(log)) for a in arguments))
    assert code == 2
    assert message in err
    assert "geheim" not in out + err
    assert not (log.parent / "new.db").exists()


def test_an_export_spares_what_shoal_did_not_make(
    shoal_command: Shoal, log: Path, tmp_path: Path
) -> None:
    database = tmp_path / "events.db"
    shoal_command("events", "import", database, log)
    code, _, err = shoal_command("events", "export", database, log)
    assert code == 2
    assert "--overwrite" in err
    assert shoal_command("events", "export", database, database)[0] == 2
    for _ in range(2):  # its own file it replaces
        assert shoal_command("events", "export", database, tmp_path / "out.csv")[0] == 0
