# mypy: ignore-errors
"""SLIMRecommender of irspack with its own stopping rule."""

import numpy as np
from irspack.recommenders.slim import SLIMRecommender
from slim_common import SlimBench

bench = SlimBench("irspack", "irspack")
X = bench.X.astype(np.float64)
with bench.timed("fit"):
    model = SLIMRecommender(
        X, alpha=bench.alpha, l1_ratio=bench.l1_ratio, n_threads=bench.threads
    ).learn()
bench.note("fit", "tol 1e-4 (the largest change of a weight in a sweep), at most 100 sweeps")
bench.weights(model.W)
bench.write()
