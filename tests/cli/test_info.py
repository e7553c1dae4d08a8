"""``shoal info``: of models, folders and the installation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table

from shoal.cli import show

Shoal = Callable[..., tuple[int, str, str]]


def test_info(model: Path, shoal_command: Shoal) -> None:
    for name in ("ease", "popularity"):
        code, text, _ = shoal_command("info", name)
        assert code == 0
        assert name in text
    assert json.loads(shoal_command("info", "rdlae", "--json")[1])["schema"]["properties"]["xi"]
    found = json.loads(shoal_command("info", "--json")[1])
    assert {"ease", "rdlae", "popularity"} <= set(found["models"])
    assert json.loads(shoal_command("info", model, "--json")[1])["model"] == "ease"
    code, text, _ = shoal_command("info", model)
    assert "ease l2=10" in text
    assert shoal_command("info", model / "nope")[0] == 2
    (model / "items.parquet").write_bytes(b"x")
    code, _, err = shoal_command("info", model)
    assert code == 2
    assert "items.parquet is truncated" in err


def test_descriptions_are_not_wrapped_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = Table("name", "meaning", box=None)
    table.add_row("patience", "epochs without a better validation before it stops :book: [b]")
    show.print_table(table)
    text = capsys.readouterr().out
    assert "epochs without a better validation before it stops :book: [b]" in text
