"""Which variant of an experiment a user is given: by a hash of the id, without any state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_STEPS = 2**64


def place_of(experiment: str, user: Any) -> float:
    """A number in [0, 1) that is always the same for this user in this experiment.

    It is the first 64 bits of sha256(experiment + NUL + user). Another experiment's name gives the
    same users other numbers, so that experiments do not share their users' chances.

    Parameters
    ----------
    experiment : str
        Name of the experiment.
    user : str, int or UUID
        Id of the user, as text and without outer spaces: 17 and " 17" are one user, as they are in
        a store of events.
    """
    text = f"{experiment}\0{str(user).strip()}"
    first = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]
    # 53 bits, which a float holds exactly: the quotient never rounds up to 1
    return (int.from_bytes(first, "big") >> 11) / (_STEPS >> 11)


def variant_at(shares: Mapping[str, float], place: float) -> str:
    """The variant whose part of [0, 1) a place lies in; parts are as long as the shares."""
    end = 0.0
    name = ""
    for name, share in shares.items():
        end += share
        if place < end:
            return name
    return name  # shares that sum to a little less than 1 by rounding
