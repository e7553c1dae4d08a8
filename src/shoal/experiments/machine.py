"""The processor and the accelerator that a fit runs on, by their makers' names."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace
from pathlib import Path

from shoal.base.recommender import Recommender
from shoal.kernels.threads import cores
from shoal.run import Run, how_many


def processor() -> str:
    """The name of the processor, as its maker gives it; of its kind, where that is not told."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def accelerator(run: Run) -> str | None:
    """The name of the accelerator, where one is used."""
    device = run.torch_device
    if device is None:
        return None
    torch = sys.modules["torch"]  # `torch_device` has imported it
    return str(torch.cuda.get_device_name(device)) if device.startswith("cuda") else "Apple GPU"


def hardware(model: Recommender, run: Run) -> str:
    """What a model is fitted on: ``NVIDIA H200``, or ``2 threads of`` a processor.

    A fit that is divided among machines takes ``64 cores of a cluster``.
    """
    if run.executor is not None:
        return f"{how_many(run.executor.n_workers, 'core')} of a cluster"
    device = getattr(model, "device", None)
    used = run if device is None else replace(run, device=device)
    found = accelerator(used) if model.trained else None
    threads = run.threads or cores()
    return found or f"{how_many(threads, 'thread')} of {processor()}"
