"""``shoal compare``: ranks, refuses, concludes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Shoal = Callable[..., tuple[int, str, str]]


def test_compare_ranks_refuses_and_concludes(ratings: Path, shoal_command: Shoal) -> None:
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,EASE,item_knn", "--metrics", "ndcg@10"),
        *("--set", "ease.l2=10", "--json", "--test-size", 0.3),
    )
    assert code == 0
    found = json.loads(text)
    assert found["models"][-1]["model"] == "popularity"
    assert {m["model"] for m in found["models"]} == {"popularity", "ease", "item-knn"}
    best = found["models"][0]
    assert best["against_best"] is None
    assert found["models"][-1]["against_best"]["p_holm"] < 0.05
    assert best["model"] in found["verdict"]
    assert all({"fit_seconds", "model_bytes"} <= set(m) for m in found["models"])
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "fast", "--metrics", "ndcg@10", "--tune", 2),
    )
    assert code == 0
    assert "is best by ndcg@10" in text
    assert "rdlae" in text
    assert "mult-vae" not in text
    code, text, _ = shoal_command(
        *("compare", ratings, "--models", "popularity,ease", "--metrics", "ndcg@10"),
        *("--memory", "5kB", "--json"),
    )
    assert code == 0
    assert "ease" in json.loads(text)["refused"]
