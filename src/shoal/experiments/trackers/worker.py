"""The process that talks to a tracker: ``python -m shoal.experiments.trackers.worker``.

It takes the name of the tracker and the run folder, and writes one line of JSON at the end:
``{"notes": […]}`` or ``{"error": "…"}``. Trackers hook themselves into the interpreter, keep
threads, print and wait for servers; in a process of their own they can be stopped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(name: str, folder: Path) -> dict[str, object]:
    """Report a run folder to a tracker, and say what came of it."""
    from shoal.experiments.trackers.contents import read_run

    try:
        run = read_run(folder)
        if name == "mlflow":
            from shoal.experiments.trackers.to_mlflow import send as send_to_mlflow

            return {"notes": send_to_mlflow(run)}
        from shoal.experiments.trackers.to_comet import send as send_to_comet

        return {"notes": send_to_comet(run, folder)}
    except ImportError as error:
        missing = (error.name or str(error)).split(".")[0]
        return {"error": f"{missing} is not installed: pip install 'shoal[track]'"}
    except Exception as error:  # whatever a tracker raises: it must not end the run
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    outcome = main(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write("\n" + json.dumps(outcome) + "\n")
