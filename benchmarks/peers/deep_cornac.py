# mypy: ignore-errors
"""Cornac: VAECF. Its input is neither normalised nor dropped, and its β is constant."""

import deep_common as deep
import numpy as np
import torch
from cornac.data import Dataset
from cornac.models import VAECF

bench = deep.Training("cornac", "cornac")
torch.set_num_threads(bench.threads)
users, items = bench.pairs()
ones = np.ones(items.size)
train = Dataset.build(list(zip(users.tolist(), items.tolist(), ones.tolist(), strict=True)))

with bench.timed("fit"):
    model = VAECF(
        k=deep.FACTORS,
        autoencoder_structure=[deep.HIDDEN],
        batch_size=deep.BATCH,
        learning_rate=deep.LR,
        beta=deep.BETA,
        n_epochs=1,
        seed=0,
    )
    for _ in range(bench.epochs):  # a second call trains the same network further
        with bench.epoch():
            model.fit(train)
bench.note("epochs", "VAECF.fit with n_epochs=1; users in their order, no dropout, constant β")
bench.write()
