"""Scores as a person reads them: with as many digits as tell them apart, and as bars."""

from __future__ import annotations

import math
from typing import Any

from shoal.service.words import with_minus


def with_bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the score as text, and the length of its bar in percent, to each row of a list.

    There are no bars where some scores are above zero and some below: they would mean nothing.
    """
    scores = [row["score"] for row in rows]
    longest = max(map(abs, scores), default=0.0)
    digits = decimals(scores)
    comparable = longest > 0 and (min(scores) >= 0 or max(scores) <= 0)
    for row in rows:
        row["shown"] = with_minus(f"{row['score']:.{digits}f}")
        row["bar"] = f"{100 * abs(row['score']) / longest:.1f}" if comparable else ""
    return rows


def decimals(scores: list[float]) -> int:
    """Decimals that show three digits of the largest score."""
    largest = max(map(abs, scores), default=0.0)
    return min(max(2 - math.floor(math.log10(largest)), 0), 9) if largest else 0
