"""The process that refreshes: ``python -m shoal.refresh.worker``, started by `shoal.refresh`.

It reads one line of JSON (the configuration), and writes lines of JSON: the steps, and at the end
the outcome or an error. When its standard input ends, whoever started it is gone, and it ends at
once; the store is then as after any kill.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shoal.errors import ShoalError
from shoal.run import Step


class _Reported:
    """A progress sink that writes the names of steps, and how far they are, as lines of JSON."""

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        say({"step": label})
        yield _Silent()


class _Silent:
    def advance(self, amount: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def say(message: dict[str, Any]) -> None:
    """Write one line for whoever started this process."""
    try:
        print(json.dumps(message), file=sys.__stdout__, flush=True)
    except (OSError, ValueError):
        os._exit(1)  # nobody listens any more


def _end_with_parent() -> None:
    while sys.stdin.buffer.readline():
        pass
    os._exit(1)


def main() -> int:
    """Refresh once; gives the exit status."""
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        from shoal.refresh.config import Config
        from shoal.refresh.work import refresh

        config = Config.model_validate(task["config"])
        os.nice(config.nice)
        say({"outcome": refresh(config, _Reported(), task["wait"]).to_dict()})
    except ShoalError as error:
        say({"error": str(error), "type": type(error).__name__})
        return 2
    except MemoryError as error:
        say({"error": f"there is not enough memory ({error})", "type": "MemoryBudgetError"})
        return 2
    except Exception as error:
        traceback.print_exc()
        say({"error": f"{type(error).__name__}: {error}", "type": ""})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
