"""``shoal tune``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Shoal = Callable[..., tuple[int, str, str]]


def test_tune(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command("tune", ratings, "--trials", 3, "--metric", "ndcg@10", "--json")
    assert code == 2  # the final table asks for @100
    code, text, _ = shoal_command(
        *("tune", ratings, "--trials", 3, "--metric", "ndcg@10", "--metrics", "ndcg@10", "--json")
    )
    assert code == 0
    found = json.loads(text)
    assert len(found["trials"]) == 3
    assert found["validation"]["ndcg@10"] == max(t["ndcg@10"] for t in found["trials"])
