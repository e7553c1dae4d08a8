"""The demo's invented visitors ask the service: ``python -m shoal.cli.demo_traffic URL FILE``.

A process of low priority that plays them, a few requests in a second. It ends when its standard
input does, so that it never outlives the service, however that ends.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from shoal.datasets.demo_visitors import Visitors

PAUSE = 0.8  # seconds from one visit to the next, in the mean
_NICE = 10
_K = 10
# What a visit is, and how often. Some are what a service gets as well: people whom it does not
# know, and a wish that no film fulfils.
KINDS = {"known": 0.78, "new": 0.06, "anonymous": 0.06, "similar": 0.06, "no film": 0.04}


class Asking:
    """One connection to the service, which is opened anew after a fault.

    Parameters
    ----------
    url : str
    key : str, optional
        Of the service.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self._place = urlsplit(url).netloc
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._connection = http.client.HTTPConnection(self._place, timeout=10.0)

    def get(self, path: str) -> int:
        """The status of a page; 0 if nobody answers."""
        return self._ask("GET", path, None)[0]

    def wait_until_ready(self, seconds: float = math.inf) -> None:
        """Return once the service has a model, or after this time."""
        end = time.monotonic() + seconds
        while self.get("/ready") != 200 and time.monotonic() < end:
            time.sleep(0.2)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a request; None if it is an error or nobody answers."""
        status, answer = self._ask("POST", path, json.dumps(body))
        return answer if status == 200 else None

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, Any]:
        try:
            self._connection.request(method, path, body, self._headers)
            reply = self._connection.getresponse()
            content = reply.read()
            return reply.status, json.loads(content)
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            return 0, None


class Player:
    """Plays the visitors.

    Parameters
    ----------
    asking : Asking
    visitors : Visitors
    rng : Generator
    pause : float
        Seconds from one visit to the next, in the mean.
    """

    def __init__(
        self, asking: Asking, visitors: Visitors, rng: np.random.Generator, pause: float = PAUSE
    ) -> None:
        self._asking, self._visitors, self._rng, self._pause = asking, visitors, rng, pause
        self._shares = np.cumsum(list(KINDS.values()))
        self._visits = np.cumsum(visitors.visits / visitors.visits.sum())

    def visit(self) -> None:
        """One visit of one person, who sees a list and may click some films in it."""
        kind = list(KINDS)[self._draw(self._shares)]
        visitor = self._draw(self._visits)
        some_items = self._rng.choice(len(self._visitors.items), 2, replace=False)
        items = [self._visitors.items[place] for place in some_items]
        if kind == "similar":
            self._asking.post("/v1/similar", {"item": items[0], "k": _K})
        elif kind == "anonymous":
            self._asking.post("/v1/recommend", {"history": items, "k": _K})
        elif kind == "no film":
            body = {"history": items, "k": _K, "filter": "year > 2100"}
            self._asking.post("/v1/recommend", body)
        elif kind == "new":  # somebody with a visitor's taste, of whom nothing is known
            self._sees_a_list(visitor, f"new-{secrets.token_hex(3)}")
        else:
            self._sees_a_list(visitor, self._visitors.users[visitor])

    def _sees_a_list(self, visitor: int, user: str) -> None:
        answer = self._asking.post("/v1/recommend", {"user": user, "k": _K})
        if answer is None:
            return
        self.rest()  # the person looks at the list
        shown = [row["item"] for row in answer["items"]]
        track = {
            "request_id": answer["request_id"],
            "user": user,
            "items": shown,
            "clicked": self._visitors.clicks(visitor, shown, self._rng),
        }
        self._asking.post("/v1/track", track)

    def rest(self) -> None:
        """Wait for half of the time from one visit to the next: long or short, as chance has it."""
        time.sleep(min(5.0, self._pause / 2 * -np.log1p(-self._rng.random())))

    def _draw(self, cumulative: Any) -> int:
        place = int(np.searchsorted(cumulative, self._rng.random(), side="right"))
        return min(place, len(cumulative) - 1)


@contextmanager
def traffic(url: str, visitors: Path) -> Iterator[None]:
    """Let the visitors of a file ask a service for as long as the context lasts."""
    command = [sys.executable, "-m", "shoal.cli.demo_traffic", url, str(visitors)]
    nobody = subprocess.DEVNULL
    # a session of its own: Ctrl-C is for the service alone, and this process ends with its input
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=nobody, stderr=nobody, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _end_with_input() -> None:
    """End this process when nobody holds the other end of its input any more."""
    with suppress(OSError, ValueError):
        sys.stdin.buffer.read()
    os._exit(0)


def main(url: str, file: str) -> None:
    """Play the visitors of a file until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_input, daemon=True).start()
    with suppress(OSError):
        os.nice(_NICE)
    key = os.environ.get("SHOAL_READ_KEY") or os.environ.get("SHOAL_ADMIN_KEY")
    asking = Asking(url, key)
    player = Player(asking, Visitors.load(Path(file)), np.random.default_rng())
    asking.wait_until_ready()
    while True:
        player.visit()
        player.rest()


if __name__ == "__main__":
    main(*sys.argv[1:])
