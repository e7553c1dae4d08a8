"""Run the whole suite with other roundings, other numbers of threads and a random order of tests.

    python tests/rounding.py [--only NAME,…] [--threads 1,2] [pytest arguments]

A processor decides how the libraries round: which instructions they use, in which order they add.
Each setting below makes one library behave as on another processor; each is run on one core and on
two, in an order of tests that is drawn anew and printed. What fails here would fail on somebody's
machine. Exits with 1 if any of the runs failed.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time

from numpy._core import _multiarray_umath as numpy_build

NUMPY = [f for f in numpy_build.__cpu_dispatch__ if numpy_build.__cpu_features__.get(f)]

SETTINGS: dict[str, dict[str, str]] = {
    "torch-plain": {"ATEN_CPU_CAPABILITY": "default"},
    "torch-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "mkl-compatible": {"MKL_CBWR": "COMPATIBLE"},
    "openblas-haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "openblas-nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "numpy-plain": {"NPY_DISABLE_CPU_FEATURES": " ".join(NUMPY)},
    # kernels without the instructions of this processor; the first run compiles all of them anew
    "numba-generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
}


def tests_pass(setting: dict[str, str], threads: int, arguments: list[str]) -> bool:
    """Run pytest in a process of its own, confined to as many cores as it may use threads."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    seed = random.SystemRandom().randrange(10**6)
    order = ["--random-order", f"--random-order-seed={seed}"]
    # conftest.py gives numba two threads also on one core, for tests that compare one with two
    env = os.environ | setting | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "pytest", "-q", *order, *arguments]
    said = " ".join(f"{name}={value!r}" for name, value in setting.items())
    print(f"== {said}, {threads} thread(s), order {seed}", flush=True)
    began = time.perf_counter()
    done = subprocess.run(
        command, env=env, check=False, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    seconds, word = time.perf_counter() - began, "failed" if done.returncode else "passed"
    print(f"== {said}, {threads} thread(s), order {seed}: {word} in {seconds:.0f} s", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SETTINGS), help="settings, with commas")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas")
    chosen, arguments = parser.parse_known_args()
    names = chosen.only.split(",")
    counts = [int(count) for count in chosen.threads.split(",")]
    if unknown := set(names) - set(SETTINGS):
        parser.error(f"no setting {', '.join(unknown)}: there are {', '.join(SETTINGS)}")
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this system cannot confine a process to some cores: run it on Linux")
    if len(os.sched_getaffinity(0)) < max(counts):
        print(f"only {len(os.sched_getaffinity(0))} core(s) here: two threads share them")
    passed = [
        tests_pass(SETTINGS[name], threads, arguments) for name in names for threads in counts
    ]
    print(f"{sum(passed)} of {len(passed)} runs passed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
