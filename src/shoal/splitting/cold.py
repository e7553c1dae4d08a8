"""The split by items: some are held out as a whole, and only their vectors are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.kernels.arrays import Bool
from shoal.splitting.held_out import HeldOut, Split, number_of_users, pair_with_targets


def cold_items(log: Interactions, seed: int, test: float | int, validation: float | int) -> Split:
    """Hold out items with all their interactions; see `split`.

    Raises
    ------
    DataError
        The log has no vectors, or sizes leave no item to train on or to find.
    """
    if log.item_vectors is None:
        raise DataError(
            "the cold-items split needs item vectors, and the log has none. Give them: "
            "--vectors FILE, as `shoal embed` writes it (shoal.read(…, vectors=…))"
        )
    able = np.flatnonzero((log.item_counts > 0) & log.item_vectors.any(axis=1))
    n_test, n_validation = number_of_users(test, able.size), number_of_users(validation, able.size)
    if n_test < 1 or able.size - n_test - n_validation < 2:
        raise DataError(
            f"cold-items split: {n_validation} validation and {n_test} test items of {able.size} "
            "that have a vector and users; give other sizes (--test-size, --validation-size)"
        )
    order = np.random.default_rng(seed).permutation(able)
    groups = np.split(order, [n_test, n_test + n_validation])
    chosen = np.zeros((2, log.n_items), np.bool_)
    for mask, codes in zip(chosen, groups[:2], strict=True):
        mask[codes] = True
    train = log.keep(~(chosen[0] | chosen[1])[log.indices])
    share = f"{n_test:,} of {able.size:,} items, seed {seed}"

    def fold(mask: Bool, name: str) -> HeldOut:
        target = log.keep(mask[log.indices])
        name = f"cold-items {name}, {share}"
        return replace(pair_with_targets(train, target, train.item_counts, name), candidates=mask)

    validation_set = fold(chosen[1], "validation") if n_validation else None
    return Split(train, validation_set, fold(chosen[0], "test"), f"cold-items, {share}")
