# mypy: ignore-errors
"""What the scripts of deep/run.py share: one network for everybody, and a clock for its epochs."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator

from common import Bench

HIDDEN, FACTORS = 600, 200
BATCH, LR, DROPOUT = 500, 1e-3, 0.5
BETA, ANNEAL = 0.2, 200_000


class Training(Bench):
    """One peer's training of Mult-VAE, or of another model, on all users.

    The result has, beside what `Bench` notes, the seconds of each epoch, and the mean loss of each
    where the peer gives it.
    """

    def __init__(self, name: str, *packages: str) -> None:
        super().__init__(name, "torch", *packages)
        for unused in ("l2", "k"):
            del self.result[unused]
        self.epochs: int = self.chosen.epochs
        self.precision: str = self.chosen.precision
        self.model: str = self.chosen.model
        self.result |= {"precision": self.precision, "epochs": [], "losses": []}

    def more_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How long, and in which numbers."""
        parser.add_argument("--epochs", type=int, default=2)
        parser.add_argument("--model", default="mult-vae")
        parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")

    @contextlib.contextmanager
    def epoch(self) -> Iterator[None]:
        """Note the seconds of an epoch."""
        began = time.perf_counter()
        yield
        self.result["epochs"].append(time.perf_counter() - began)

    def loss(self, mean: float) -> None:
        """Note an epoch's mean loss."""
        self.result["losses"].append(float(mean))


class Factors(Training):
    """One peer's training of ELSA."""

    def __init__(self, name: str, *packages: str) -> None:
        super().__init__(name, *packages)
        self.factors: int = self.chosen.factors
        self.batch: int = self.chosen.batch
        self.result |= {"factors": self.factors, "batch": self.batch}

    def more_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How wide, and in which portions."""
        super().more_arguments(parser)
        parser.add_argument("--factors", type=int, default=256)
        parser.add_argument("--batch", type=int, default=512)
