"""``shoal demo``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Shoal = Callable[..., tuple[int, str, str]]


def test_demo_is_worth_reading(tmp_path: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("demo", "--to", tmp_path / "d")
    assert code == 0
    assert "is best by ndcg@20" in text
    assert text.count(" loved ") == 3
    assert "Next:" in text
    assert text.rstrip().endswith("shoal demo --serve")
    code, _, err = shoal_command("recommend", tmp_path / "d" / "model", "--history", "m0001")
    assert code == 0, err
    code, text, _ = shoal_command("demo", "--to", tmp_path / "d", "--json")
    found = json.loads(text)
    ranks = [m["model"] for m in found["comparison"]["models"]]
    assert ranks[-1] == "popularity"
    assert ranks.index("ease") < ranks.index("item-knn")


def test_the_demo_says_what_its_service_needs(
    tmp_path: Path, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.cli.serve.missing_packages", lambda: ["fastapi"])
    code, text, _ = shoal_command("demo", "--to", tmp_path / "d")
    assert code == 0
    *_, last = text.splitlines()
    assert "shoal demo --serve" in last
    assert "pip install 'shoal[serve]'" in last
    assert "make serve-demo" in last
    code, _, err = shoal_command("demo", "--to", tmp_path / "d", "--serve")
    assert code == 2
    assert "(fastapi)" in err
