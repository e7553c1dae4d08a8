"""`Run`: everything about a run that is not a hyper-parameter, and the progress it reports."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shoal.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from shoal.executor import Executor

DEVICE = r"^(cpu|auto|mps|cuda(:\d+)?)$"  # a device's name, as `Run` takes it


class Step(Protocol):
    """One long step that is running."""

    def advance(self, amount: float = 1) -> None:
        """Report that `amount` more of the step's total is done."""
        ...

    def note(self, text: str) -> None:
        """Show a few words beside the bar (a loss, a file name)."""
        ...


class Progress(Protocol):
    """Where long steps report. The command line draws bars with an ETA; libraries stay silent."""

    def step(self, label: str, total: float | None = None) -> AbstractContextManager[Step]:
        """Open a step; `total` has the unit that `advance` counts in, and None means unknown."""
        ...


class _SilentStep:
    def advance(self, amount: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """A progress sink that shows nothing."""

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        """Open a step that reports to nobody."""
        yield _SilentStep()


def available_memory() -> int:
    """Bytes that this process can allocate now without swapping, within the limit of its cgroup."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text().strip()
        used = int((root / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return available if limit == "max" else min(available, int(limit) - used)


def first_process() -> bool:
    """Whether this process reports and writes: alone, or the first that ``torchrun`` started."""
    return process_number() == 0


def process_number() -> int:
    """The number of this process among those that train together, from 0 on."""
    return int(os.environ.get("RANK", "0"))


def n_processes() -> int:
    """Number of processes that train together; 1 if nothing has started several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def started_by_torchrun() -> bool:
    """Whether ``torchrun`` started this process, or another launcher that says its rank."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@dataclass(frozen=True)
class Run:
    """How to run, as opposed to what to compute.

    Parameters
    ----------
    seed : int
        Seed of everything that is random in a fit.
    device : str
        Where to compute: "cpu", "cuda" or "cuda:1", "mps", or "auto" for a GPU if torch sees one.
    threads : int or None
        Threads for BLAS and for shoal's kernels together; None takes every core
        that the process may use.
    memory : int or None
        Budget in bytes for what a fit or a scoring pass allocates; None takes 80 % of
        what is free. What does not fit is refused before it is allocated.
    progress : Progress
        Where long steps report.
    precision : {"auto", "float32", "bfloat16"}
        Type of the numbers in matrix products of deep models; sums stay in float32. "auto" is
        bfloat16 on CUDA and float32 elsewhere.
    checkpoint : Path or None
        Folder that training writes its state to after each epoch, and from which it continues.
    checkpoint_pause : float
        Seconds for which no checkpoint is written after one, or after the beginning: writing
        takes time, too.
    training_log : Path or None
        File that training appends a line of JSON to after each epoch.
    after_epoch : callable or None
        Called after each epoch that was validated, with its number (from 1 on) and its validation
        metric. Where it returns True, training ends there and keeps the best weights so far, as if
        patience had run out. Of several processes the first one asks. A checkpoint is that of
        the same training without it, and continues after the last epoch.
    each_epoch : callable or None
        Called by each of the processes that train together after every epoch, validated or not,
        with its line of the training log, once the checkpoint is written.
    first_only : bool
        Of several processes, only the first one needs the fitted model; models whose processes hold
        parts of it then spare the others its memory.
    executor : Executor or None
        Where work that can be divided is done, such as the machines of a cluster; None does it in
        this process.
    """

    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    memory: int | None = None
    progress: Progress = field(default_factory=Silent)
    precision: str = "auto"
    checkpoint: Path | None = None
    training_log: Path | None = None
    after_epoch: Callable[[int, float], bool] | None = None
    checkpoint_pause: float = 0.0
    each_epoch: Callable[[dict[str, Any]], None] | None = None
    first_only: bool = False
    executor: Executor | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(DEVICE, self.device):
            raise ModelError(f"device {self.device!r}: write cpu, cuda, cuda:0, mps or auto")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise ModelError(f"precision {self.precision!r}: write auto, float32 or bfloat16")
        if self.seed < 0:
            raise ModelError(f"seed={self.seed}: give 0 or more")
        if self.threads is not None and self.threads < 1:
            raise ModelError(f"threads={self.threads}: give 1 or more, or leave it out for all")
        if self.memory is not None and self.memory < 1:
            raise ModelError(f"memory={self.memory}: give a number of bytes, or None")

    @property
    def torch_device(self) -> str | None:
        """The accelerator to use through torch, or None for shoal's own kernels on the CPU.

        Raises
        ------
        MissingExtraError
            A GPU was asked for, and torch is not installed.
        ModelError
            A GPU was asked for that torch does not see.
        """
        if self.device == "cpu":
            return None
        try:
            import torch
        except ImportError:
            if self.device == "auto":
                return None
            raise MissingExtraError(
                f"device {self.device!r} needs torch: pip install 'shoal[deep]'"
            ) from None
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        apple = torch.backends.mps.is_available()
        if self.device == "auto":
            return "cuda" if count else "mps" if apple else None
        if self.device == "mps":
            if not apple:
                raise ModelError("device 'mps': torch sees no Apple GPU here")
            return self.device
        if int(self.device.partition(":")[2] or 0) >= count:
            raise ModelError(f"device {self.device!r}: torch sees {count} CUDA devices here")
        return self.device

    def mixed_precision(self, device_type: str) -> bool:
        """Whether products on a device ("cpu", "cuda", …) are done in bfloat16."""
        return self.precision == "bfloat16" or (self.precision == "auto" and device_type == "cuda")

    @property
    def memory_budget(self) -> int:
        """The memory budget in bytes at this moment."""
        return self.memory if self.memory is not None else int(0.8 * available_memory())


def human_bytes(count: float) -> str:
    """Write a number of bytes for people: ``1.6 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def how_many(number: int, what: str) -> str:
    """A number of things for people: ``1 user``, ``1,200 users``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time for people: ``0.3 ms``, ``120 ms``, ``3.2 s``, ``12 min``, ``5.1 h``, ``4.0 days``."""
    for length, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    thousandths = seconds * 1000
    if thousandths < 9.95:
        return f"{thousandths:.2g} ms"
    if thousandths < 999.5:
        return f"{thousandths:.0f} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def parse_bytes(text: str, option: str = "--memory") -> int:
    """``8GB``, ``512 MB``, ``1e9`` as a number of bytes."""
    units = {"": 1, "B": 1, "K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "T": 1e12, "TB": 1e12, "TIB": 2**40}
    plain = text.strip().upper()
    number = plain.rstrip("KMGTIB ")
    try:
        value = float(number) * units[plain[len(number) :].strip()]
    except (ValueError, KeyError):
        raise ModelError(f"{option} {text!r}: write a size such as 8GB or 512MB") from None
    if not 1 <= value < 1e18:
        raise ModelError(f"{option} {text!r}: that is no amount of memory")
    return int(value)
