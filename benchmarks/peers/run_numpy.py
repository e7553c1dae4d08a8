# mypy: ignore-errors
"""What one writes first: float64, np.linalg.inv, blocks of 1,000 users."""

import numpy as np
from common import Bench, ranking_quality
from reference import best, ease

bench = Bench("numpy")
X = bench.X.astype(np.float64)
with bench.timed("fit"):
    B = ease(X, bench.l2)


def recommend(rows, block=1_000):
    parts = [rows[at : at + block] for at in range(0, rows.shape[0], block)]
    return np.concatenate([best(np.asarray(part @ B), part, bench.k) for part in parts])


with bench.timed("recommend", bench.n_recommend):
    lists = recommend(X[: bench.n_recommend])
bench.keep(lists)

held_out = X[bench.first_held_out :][: bench.n_evaluate]
with bench.timed("evaluate", bench.n_evaluate):
    ndcg, recall = ranking_quality(recommend(held_out), bench.T, bench.k)
bench.quality(ndcg.mean(), recall.mean(), "min(20, |T|)")
bench.note("evaluate", "a loop over users in Python")
bench.write()
