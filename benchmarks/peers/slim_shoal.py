# mypy: ignore-errors
"""SLIM of shoal."""

import numpy as np
import polars as pl
from slim_common import SlimBench

import shoal
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions

bench = SlimBench("shoal", "shoal", "numba")
run = shoal.Run(threads=bench.threads)
items = Ids(pl.Series(np.arange(bench.X.shape[1])), "int")


def log(matrix):
    rows = matrix.tocoo()
    users = Ids(pl.Series(np.arange(matrix.shape[0])), "int")
    return Interactions.from_codes(users, items, rows.row.astype(np.int32), rows.col)


# compiled kernels are loaded from numba's cache on first use
few = log(bench.X[:1_000])
shoal.SLIM(l1=5, l2=5).fit(few.onto_items(items.subset(np.arange(200))), run=run)

train = log(bench.X)
with bench.timed("fit"):
    model = shoal.SLIM(l1=bench.l1, l2=bench.l2).fit(train, run=run)
bench.note("fit", ", ".join(f"{name} {value:.3g}" for name, value in model.facts.items()))
bench.weights(model.weights)
bench.write()
