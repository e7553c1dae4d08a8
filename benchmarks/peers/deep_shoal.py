# mypy: ignore-errors
"""shoal, by its public functions."""

import deep_common as deep
import numpy as np
import polars as pl

import shoal
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions

bench = deep.Training("shoal", "numba")
run = shoal.Run(threads=bench.threads, precision=bench.precision)


def log(matrix):
    ids = (Ids(pl.Series(np.arange(size)), "int") for size in matrix.shape)
    rows = matrix.tocoo()
    return Interactions.from_codes(*ids, rows.row.astype(np.int32), rows.col)


def model(epochs):
    widths = {"hidden": deep.HIDDEN, "factors": deep.FACTORS, "batch_size": deep.BATCH}
    if bench.model == "recvae":
        return shoal.RecVAE(**widths, n_epochs=epochs)
    if bench.model == "flvae":
        return shoal.FLVAE(**widths, n_epochs=epochs)
    return shoal.MultVAE(
        **widths,
        dropout=deep.DROPOUT,
        beta=deep.BETA,
        anneal=deep.ANNEAL,
        lr=deep.LR,
        n_epochs=epochs,
    )


# compiled kernels are loaded from numba's cache on first use; linear/run.py kernels times it
model(1).fit(log(bench.X[:600, :200]), run=run)

train = log(bench.X)
with bench.timed("fit"):
    fitted = model(bench.epochs).fit(train, run=run)
bench.result["epochs"] = [row["seconds"] for row in fitted.curve]
bench.result["losses"] = [row["loss"] for row in fitted.curve]
bench.note("epochs", "as its own learning curve gives them")
bench.write()
