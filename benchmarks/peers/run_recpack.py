# mypy: ignore-errors
"""RecPack: EASE keeps its dense B as CSR."""

import numpy as np
import scipy.sparse as sp
from common import Bench
from recpack.algorithms import EASE
from recpack.metrics import NDCGK, CalibratedRecallK
from recpack.util import get_top_K_ranks

bench = Bench("recpack", "recpack")
X = bench.X.astype(np.float32)
with bench.timed("fit"):
    model = EASE(l2=bench.l2)
    model.fit(X)


def scores_of(rows):
    """As its Pipeline does it: scores of all items, then those of the history removed."""
    scores = model.predict(rows)
    return sp.csr_matrix(scores - scores.multiply(rows))


def blocks(first, last, size=500):
    """X, as blocks of some users in a matrix of all users' shape, as it wants them."""
    for at in range(first, last, size):
        yield X[at : min(at + size, last)]


with bench.timed("recommend", bench.n_recommend):
    ranks = [get_top_K_ranks(scores_of(b), bench.k) for b in blocks(0, bench.n_recommend)]
bench.note("recommend", "predict + get_top_K_ranks, 500 users at a time (all at once need 100 GB)")
ranks = sp.csr_matrix(sp.vstack(ranks[: -(-200 // 500)]))
bench.keep([row.indices[np.argsort(row.data)] for row in ranks[:200]])

metrics = NDCGK(bench.k), CalibratedRecallK(20)
first = bench.first_held_out
with bench.timed("evaluate", bench.n_evaluate):
    found = sp.vstack([scores_of(b) for b in blocks(first, first + bench.n_evaluate)])
    for metric in metrics:
        metric.calculate(bench.T[: bench.n_evaluate], sp.csr_matrix(found))
bench.quality(*(metric.value for metric in metrics), "min(20, |T|)")
bench.write()
