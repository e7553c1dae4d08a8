"""From scores to answers: ranking, recommendations, similar items, predicted ratings, indexes."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "warm_up":
        from shoal.inference.warmup import warm_up

        return warm_up
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
