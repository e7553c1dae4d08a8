"""A limit on requests in a second for each client: a bucket that fills at a constant rate."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 100_000  # that are remembered; the one that was away longest is forgotten


class RateLimit:
    """Token buckets by client.

    Parameters
    ----------
    per_second : float
        Requests in a second, in the long run.
    burst : int
        Requests that may come at once.
    clock : callable
        Returns seconds that never go back.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second, self.burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_for(self, client: str) -> float:
        """Take one request of a client; gives 0, or the seconds until it may come again."""
        now = self._clock()
        tokens, last = self._buckets.pop(client, (float(self.burst), now))
        tokens = min(float(self.burst), tokens + (now - last) * self.per_second)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second
