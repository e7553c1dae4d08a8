"""An experiment of three variants, what each of them answers, and who gets which.

The variant of a user is computed here by hand: the first 64 bits of a sha256, as a share of 2**64.
"""

from __future__ import annotations

import hashlib
from typing import Any

THREE = """
name: autumn
variants:
  control: {share: 0.5}
  filtered: {share: 0.25, filter: "year >= 2000", diversity: 0.3}
  tenfold: {share: 0.25, model: tenfold}
"""


def variant_by_hand(user: str) -> str:
    digest = hashlib.sha256(b"autumn\0" + user.encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "control" if place < 0.5 else "filtered" if place < 0.75 else "tenfold"


USERS = [f"u{n}" for n in range(60)]
USER = {variant_by_hand(user): user for user in USERS}  # one of each variant


def ask(made: Any, **body: Any) -> dict[str, Any]:
    answer = made.post("/v1/recommend", json={"history": [10], "k": 2, **body})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def rows(answer: dict[str, Any]) -> list[tuple[Any, float]]:
    return [(row["item"], row["score"]) for row in answer["items"]]


# B[10 → 20, 30, 40] = 3, 2, 1; the years of 30 and 40 are 2000 and 2010
LISTS = {
    "control": [(20, 3), (30, 2)],
    "filtered": [(30, 2), (40, 1)],
    "tenfold": [(20, 30), (30, 20)],
}
