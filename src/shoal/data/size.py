"""The size of a log: what memory and time are estimated from."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """How many users, items and interactions a log has."""

    n_users: int
    n_items: int
    n_interactions: int
