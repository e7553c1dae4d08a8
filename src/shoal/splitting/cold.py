"""The split by items: some are held out with all their interactions, only vectors are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool
from shoal.splitting.held_out import HeldOut, Split, number_from_size, pair_with_targets


def cold_items(log: Interactions, seed: int, test: float | int, validation: float | int) -> Split:
    """Hold out items with all their interactions; see `split`.

    Raises
    ------
    DataError
        The log has no vectors, or the sizes leave no items to train on or to find.
    """
    if log.item_vectors is None:
        raise DataError(
            "the cold-items split needs item vectors, and the log has none. Give them: "
            "--vectors FILE, as `shoal embed` writes it (shoal.read(…, vectors=…))"
        )
    eligible = np.flatnonzero((log.item_counts > 0) & log.item_vectors.any(axis=1))
    n_eligible = eligible.size
    n_test, n_validation = (number_from_size(size, n_eligible) for size in (test, validation))
    if n_test < 1 or n_eligible - n_test - n_validation < 2:
        raise DataError(
            f"cold-items split: {n_validation} validation and {n_test} test items of {n_eligible} "
            "that have a vector and users; give other sizes (--test-size, --validation-size)"
        )
    order = np.random.default_rng(seed).permutation(eligible)
    in_test, in_validation = np.zeros((2, log.n_items), np.bool_)
    in_test[order[:n_test]] = True
    in_validation[order[n_test : n_test + n_validation]] = True
    train = log.keep(~(in_test | in_validation)[log.indices])
    share = f"{n_test:,} of {n_eligible:,} items, seed {seed}"

    def fold(mask: Bool, name: str) -> HeldOut:
        target = log.keep(mask[log.indices])
        name = f"cold-items {name}, {share}"
        return replace(pair_with_targets(train, target, train.item_counts, name), candidates=mask)

    validation_set = fold(in_validation, "validation") if n_validation else None
    return Split(train, validation_set, fold(in_test, "test"), f"cold-items, {share}")
