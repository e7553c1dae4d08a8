"""SVAE changed one step at a time towards its authors' code; each fit is scored in five ways.

    SHOAL_DATA=… python benchmarks/svae/variants.py [NAME …]

Each variant is fitted once for some epochs with one seed. What it scores is added to results.jsonl
after each epoch. `run.py render` puts the table into svae.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

import numpy as np
import torch
from pydantic import PrivateAttr

import shoal
from shoal.base.hyper import hyper
from shoal.models.svae import SVAE
from shoal.training import layers
from shoal.training.layers import sample_normal
from shoal.training.sequences import last_states

if TYPE_CHECKING:
    from torch import nn

    from shoal.data.interactions import CSR
    from shoal.kernels.arrays import Float
    from shoal.splitting.held_out import HeldOut
    from shoal.training.batches import Batch
    from shoal.training.learner import Clock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.article.tasks import Task
from benchmarks.svae.run import METRICS, RESULTS, task

EPOCHS = 10
# what a variant changes; "theirs" is all of it
CHANGES: dict[str, dict[str, Any]] = {
    "ours": {},
    "noise": {"wide_noise": True},
    "beta": {"restart": True},
    "noise and beta": {"wide_noise": True, "restart": True},
    "batch": {"batch_size": 1, "lr": 1e-3},
    "theirs": {"wide_noise": True, "restart": True, "batch_size": 1, "lr": 1e-3},
}
# how a fitted variant is scored: whether the last item is read, is left out of the
# recommendations, and whether the code is drawn (True) or its mean is taken
SCORINGS = {
    "ours": (True, True, False),
    "code drawn": (True, True, True),
    "last not read": (False, True, False),
    "last not read or left out": (False, False, False),
    "theirs": (False, False, True),
}


class Variant(SVAE):
    """SVAE with what its authors' code does otherwise."""

    name: ClassVar[str] = "svae"

    wide_noise: bool = hyper(False, "the deviation of z is exp(s), not exp(s/2)")
    restart: bool = hyper(False, "β begins at 0 again in each epoch")

    _read_last: bool = PrivateAttr(True)
    _draw: bool = PrivateAttr(False)
    _rows: int = PrivateAttr(0)

    def _build(self, n_users: int, n_items: int) -> nn.Module:
        self._rows = n_users
        return super()._build(n_users, n_items)

    def _drawn(self, mean: torch.Tensor, s: torch.Tensor, generator: Any) -> torch.Tensor:
        return sample_normal(mean, 2 * s if self.wide_noise else s, generator)

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        """As in SVAE, but for the two changes."""
        if self.restart:
            clock = replace(clock, rows=clock.rows - clock.epoch * self._rows)
        with patch.object(layers, "sample_normal", self._drawn):
            return super()._loss(network, batch, clock, generator)

    def _score(self, histories: CSR) -> Float:
        return super()._score(histories if self._read_last else without_last(histories))

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        if not self._draw:
            return super()._scores(network, batch)
        state = last_states(network["gru"], network["embed"], batch)
        mean, s = network["moments"](state).chunk(2, 1)
        code = self._drawn(mean, s, torch.Generator().manual_seed(0))
        return network["decode"](network["widen"](code))


def without_last(histories: CSR) -> CSR:
    """Histories without the latest entry of each row; their values are places in time."""
    last = np.repeat(histories.max(axis=1).toarray().ravel(), np.diff(histories.indptr))
    kept = histories.data < last
    indptr = np.concatenate([[0], np.cumsum(kept)])[histories.indptr]
    parts = (histories.data[kept], histories.indices[kept], indptr)
    return type(histories)(parts, shape=histories.shape)


def shortened(held_out: HeldOut) -> HeldOut:
    """The same users and targets, with histories that end one item earlier."""
    history = held_out.history
    last = np.repeat(np.diff(history.indptr), np.diff(history.indptr))
    return replace(held_out, history=history.keep(history.places < last))


def metrics_of(model: Variant, held_out: HeldOut) -> dict[str, Any]:
    """Mean and standard error of each metric."""
    found: dict[str, Any] = shoal.evaluate(model, held_out, METRICS).to_dict()["metrics"]
    return found


def scored(model: Variant, of: Task) -> dict[str, Any]:
    """Metrics of a fitted model on both parts, by the way of scoring."""
    found: dict[str, Any] = {}
    for name, (read, left_out, draw) in SCORINGS.items():
        model._read_last, model._draw = read or not left_out, draw
        parts = {"validation": of.validation, "test": of.test}
        if not left_out:
            parts = {part: shortened(held_out) for part, held_out in parts.items()}
        found[name] = {
            part: {m: round(v["mean"], 5) for m, v in metrics_of(model, held_out).items()}
            for part, held_out in parts.items()
        }
    model._read_last, model._draw = True, False
    return found


def fitted(name: str, epochs: int) -> None:
    """Fit one variant; what it scores after each epoch is kept as soon as it is known."""
    key = f"variant-{name}"
    if len((RESULTS.get(key) or {"epochs": []})["epochs"]) >= epochs:
        return
    settings = {"batch_size": 16, "lr": 2e-3} | CHANGES[name]
    model = Variant(**settings, n_epochs=epochs, patience=0)
    of = task()
    row: dict[str, Any] = {"variant": name, "parameters": settings, "epochs": []}

    def after_epoch(epoch: int, metric: float) -> bool:
        row["epochs"].append(scored(model, of))
        row["processor_seconds"] = round(time.process_time() - began, 1)
        RESULTS.save(key, row)
        test = {n: round(r["test"]["ndcg@100"], 4) for n, r in row["epochs"][-1].items()}
        print(key, epoch, round(metric, 4), test, flush=True)
        return False

    model.take_catalogue(of.train)  # so that it can be evaluated before the fit ends
    began = time.process_time()
    model.fit(of.train, of.validation, shoal.Run(seed=0, threads=1, after_epoch=after_epoch))


def main() -> None:
    """Fit the variants that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CHANGES), metavar="NAME")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    for name in given.names:
        fitted(name, given.epochs)


if __name__ == "__main__":
    main()
