"""What every peer's script shares: the command line, clocks, memory, and the result.

A script imports its peer, numpy, scipy and this file only, so that it runs in the peer's own
environment. Stages that do not run are left out of the result, with the reason under `notes`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

KEPT = 200  # users whose lists are kept to be compared with the reference


def _status(field: str) -> int | None:
    """Bytes of a field of /proc/self/status; None where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(field + ":")), None)


def peak_rss() -> int:
    """The process's high-water mark in bytes."""
    found = _status("VmHWM")
    return found or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def start_peak() -> int:
    """Start a new high-water mark where the system allows that; bytes in use now.

    Linux only: elsewhere the mark stays what the process has had since its start.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS") or peak_rss()


class Bench:
    """One peer's run.

    Parameters
    ----------
    name : str
        Of the peer.
    packages : str
        Whose versions to note; numpy and scipy are noted anyway.
    """

    def __init__(self, name: str, *packages: str) -> None:
        parser = argparse.ArgumentParser(description=f"Time {name}.")
        parser.add_argument("--data", type=Path, required=True, help="folder of synthetic.stored")
        parser.add_argument("--l2", type=float, default=300)
        parser.add_argument("--k", type=int, default=100)
        parser.add_argument("--recommend-users", type=int, default=1_000)
        parser.add_argument("--evaluate-users", type=int, default=1_000)
        parser.add_argument("--threads", type=int, default=2)
        parser.add_argument("--out", type=Path, required=True)
        self.more_arguments(parser)
        chosen = parser.parse_args()
        self.chosen = chosen
        if limit := os.environ.get("BENCH_ADDRESS_SPACE"):  # fail here, not by the kernel's choice
            resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
        self.data: Path = chosen.data
        self.l2: float = chosen.l2
        self.k: int = chosen.k
        self.threads: int = chosen.threads
        self.out: Path = chosen.out
        self._recommend: int = chosen.recommend_users
        self._evaluate: int = chosen.evaluate_users
        self.X = sp.csr_matrix(sp.load_npz(self.data / "train.npz"))
        self.T = sp.csr_matrix(sp.load_npz(self.data / "target.npz"))
        self.result: dict[str, Any] = {
            "peer": name,
            "versions": {p: _version(p) for p in ("numpy", "scipy", *packages)},
            "python": platform.python_version(),
            "threads": self.threads,
            "cores": len(os.sched_getaffinity(0)),
            "users": self.X.shape[0],
            "items": self.X.shape[1],
            "interactions": int(self.X.nnz),
            "csr_bytes": int(self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes),
            "l2": self.l2,
            "k": self.k,
            "stages": {},
            "notes": {},
        }

    def more_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add a benchmark's own arguments; they stand in `chosen`."""

    @property
    def n_recommend(self) -> int:
        """How many users to recommend to: the first so many."""
        return min(self._recommend, self.X.shape[0])

    @property
    def n_evaluate(self) -> int:
        """How many held-out users to evaluate on: the first so many of them."""
        return min(self._evaluate, self.T.shape[0])

    @property
    def first_held_out(self) -> int:
        """Row of X of the first held-out user."""
        return int(self.X.shape[0] - self.T.shape[0])

    def pairs(self, *, target: bool = False) -> tuple[Any, Any]:
        """User and item numbers of X, or of the targets of the users to evaluate on."""
        M = (self.T[: self.n_evaluate] if target else self.X).tocoo()
        return M.row.astype(np.int64) + (self.first_held_out if target else 0), M.col

    @contextlib.contextmanager
    def timed(self, stage: str, users: int | None = None) -> Iterator[None]:
        """Note the seconds and the peak memory of a stage."""
        before = start_peak()
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        row = {"seconds": seconds, "rss_before": before, "rss_after": peak_rss()}
        self.result["stages"][stage] = row if users is None else row | {"users": users}
        print(f"{self.result['peer']}: {stage} {seconds:.2f} s", flush=True)
        self.write()  # a later stage may be killed

    def note(self, stage: str, text: str) -> None:
        """Say how a stage was done, or why it was not."""
        self.result["notes"][stage] = text

    def quality(self, ndcg: float, recall: float, recall_divides_by: str) -> None:
        """NDCG@k and Recall@20 by the peer's evaluator, and what its recall divides by."""
        self.result["quality"] = {
            "users": self.n_evaluate,
            "ndcg@100": float(ndcg),
            "recall@20": float(recall),
            "recall_divides_by": recall_divides_by,
        }

    def keep(self, lists: Iterable[Sequence[Any]], *, held_out: bool = False) -> None:
        """Keep the item numbers recommended to the first (held-out) users, best first."""
        self.result["lists_of"] = "held_out" if held_out else "first"
        kept = np.full((min(KEPT, self.n_recommend), self.k), -1, np.int32)
        for row, found in zip(kept, lists, strict=False):
            some = np.asarray(found, np.int64)[: self.k]
            row[: some.size] = some
        np.savez_compressed(self.out.with_suffix(".lists.npz"), lists=kept)

    def write(self) -> None:
        """Write what there is so far."""
        self.out.write_text(json.dumps(self.result, indent=1, ensure_ascii=False) + "\n")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def ranking_quality(lists: Any, T: Any, k: int = 100) -> tuple[Any, Any]:
    """Per user NDCG@k and Recall@20 (÷ min(20, |T|)) of (m, k) lists: for those without their own.

    An own few lines and not shoal's, so that shoal's can be checked against it.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    ndcg, recall = np.zeros(len(lists)), np.zeros(len(lists))
    for u, row in enumerate(lists):
        wanted = T.indices[T.indptr[u] : T.indptr[u + 1]]
        hit = np.isin(row, wanted)
        ndcg[u] = hit @ discount / discount[: min(k, wanted.size)].sum()
        recall[u] = hit[:20].sum() / min(20, wanted.size)
    return ndcg, recall
