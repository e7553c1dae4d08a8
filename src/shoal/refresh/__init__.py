"""The next version of a live model: trained on the newest data, compared, and published if good.

`run` does it once, in a process of its own, and waits for the outcome; `start_in_process` returns
at once. The live model is not touched until a better one is whole on the disk.
"""

from shoal.refresh.config import Config, read_config
from shoal.refresh.example import EXAMPLE
from shoal.refresh.outcome import Outcome
from shoal.refresh.process import RefreshProcess, run, start_in_process
from shoal.refresh.schedule import next_run

__all__ = [
    "EXAMPLE",
    "Config",
    "Outcome",
    "RefreshProcess",
    "next_run",
    "read_config",
    "run",
    "start_in_process",
]
