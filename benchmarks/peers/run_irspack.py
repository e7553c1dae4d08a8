# mypy: ignore-errors
"""irspack: DenseSLIM is EASE."""

import numpy as np
from common import Bench
from irspack import DenseSLIMRecommender, Evaluator
from irspack.utils.id_mapping import IDMapper

bench = Bench("irspack", "irspack")
X = bench.X.astype(np.float64)
with bench.timed("fit"):
    model = DenseSLIMRecommender(X, reg=bench.l2).learn()

users = list(range(X.shape[0]))
mapper = IDMapper(users, list(range(X.shape[1])))
with bench.timed("recommend", bench.n_recommend):
    found = []
    for at in range(0, bench.n_recommend, 1_000):  # it scores all that it is given at once
        some = users[at : min(at + 1_000, bench.n_recommend)]
        found += mapper.recommend_for_known_user_batch(
            model, some, cutoff=bench.k, n_threads=bench.threads
        )
bench.note("recommend", "IDMapper.recommend_for_known_user_batch, 1,000 users at a time")
bench.keep([[item for item, _ in row] for row in found[:200]])

with bench.timed("evaluate", bench.n_evaluate):
    evaluator = Evaluator(
        bench.T[: bench.n_evaluate],
        offset=bench.first_held_out,
        cutoff=bench.k,
        n_threads=bench.threads,
        recall_with_cutoff=True,
    )
    scores = evaluator.get_scores(model, [20, bench.k])
bench.quality(scores[f"ndcg@{bench.k}"], scores["recall@20"], "min(20, |T|)")
bench.write()
