"""``shoal data``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Shoal = Callable[..., tuple[int, str, str]]


def test_data_show_and_list(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("data", "show", ratings)
    assert code == 0
    assert "120 users × 40 items" in text
    found = json.loads(shoal_command("data", "show", ratings, "--json")[1])
    assert found["items_per_user"] == {"min": 9, "median": 9, "max": 9}
    assert "ml-1m" in shoal_command("data", "list")[1]
    assert any(
        e["name"] == "gowalla" for e in json.loads(shoal_command("data", "list", "--json")[1])
    )


def test_the_list_marks_what_nothing_protects(shoal_command: Shoal) -> None:
    """The Million Song Dataset comes over http; the hashes of MovieLens are published."""
    code, text, _ = shoal_command("data", "list", "--json")
    assert code == 0
    unprotected = {entry["name"]: entry["unprotected"] for entry in json.loads(text)}
    assert unprotected["msd"] == ["no hash", "no https"]
    assert unprotected["ml-1m"] == []
    assert unprotected["netflix"] == []  # nothing is downloaded
    assert unprotected["goodbooks-10k"] == ["no hash"]
    assert unprotected["amazon2023:Books"] == []
    _, text, _ = shoal_command("data", "list")
    (line,) = [line for line in text.splitlines() if line.startswith("goodbooks-10k")]
    assert line.rstrip().endswith("no hash")
