"""A thread that looks at something every few seconds, or at once when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watch:
    """Looks again and again in a thread of its own, from `start` to `stop`.

    Parameters
    ----------
    name : str
        Of the thread.
    look : callable
        Looks once. It raises nothing: an error would end the thread.
    pause : float or callable
        Seconds from the end of one look to the begin of the next, or what returns them.
    """

    def __init__(
        self, name: str, look: Callable[[], object], pause: float | Callable[[], float]
    ) -> None:
        self._look, self._pause = look, pause
        self.first_look = threading.Event()  # set when the first look has ended
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Look no more, and wait so many seconds for a look that has begun."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def look_now(self) -> None:
        """Look at once, in the thread."""
        self._wake.set()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self.first_look.set()
            self._wake.wait(self._pause() if callable(self._pause) else self._pause)
            self._wake.clear()
