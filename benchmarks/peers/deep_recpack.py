# mypy: ignore-errors
"""RecPack: MultVAE, one epoch of its own loop after the other."""

import deep_common as deep
import numpy as np
import torch
from recpack.algorithms import MultVAE

bench = deep.Training("recpack", "recpack")
torch.set_num_threads(bench.threads)
X = bench.X.astype(np.float32)


def make():
    return MultVAE(
        batch_size=deep.BATCH,
        max_epochs=1,
        learning_rate=deep.LR,
        dim_bottleneck_layer=deep.FACTORS,
        dim_hidden_layer=deep.HIDDEN,
        max_beta=deep.BETA,
        anneal_steps=deep.ANNEAL,
        dropout=deep.DROPOUT,
        seed=0,
    )


with bench.timed("fit"):
    model = make()
    model._init_model(X)
    model.model_.train()
    for _ in range(bench.epochs):
        with bench.epoch():
            losses = model._train_epoch(X)
        bench.loss(np.mean(losses))
bench.note("epochs", "_train_epoch, which fit calls; fit itself would evaluate after each")

few = X[:600]
try:
    make().fit(few, (few, few))
except Exception as error:  # what a user would meet: said, and no reason to stop
    bench.note("fit", f"the documented fit ends with {type(error).__name__} after its last epoch")
bench.write()
