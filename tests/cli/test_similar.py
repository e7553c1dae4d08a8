"""``shoal similar``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Shoal = Callable[..., tuple[int, str, str]]


def test_similar(model: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("similar", model, 105, "-k", 5, "--json")
    assert code == 0
    assert all(row["id"] >= 100 for row in json.loads(text)["items"])
    assert shoal_command("similar", model, "nope")[0] == 2
