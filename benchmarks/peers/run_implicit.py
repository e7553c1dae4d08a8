# mypy: ignore-errors
"""implicit has no EASE: its item-kNN and ALS stand here to show what its compiled code takes."""

import numpy as np
from common import Bench
from implicit.als import AlternatingLeastSquares
from implicit.evaluation import ranking_metrics_at_k
from implicit.nearest_neighbours import CosineRecommender

bench = Bench("implicit", "implicit")
X = bench.X.astype(np.float32)
bench.result["model"] = "item-kNN, cosine, K=100: not EASE"
with bench.timed("fit"):
    model = CosineRecommender(K=100, num_threads=bench.threads)
    model.fit(X, show_progress=False)

users = np.arange(bench.n_recommend)
with bench.timed("recommend", bench.n_recommend):
    lists, _ = model.recommend(users, X[users], N=bench.k, filter_already_liked_items=True)
bench.keep(lists[:200])

held = slice(bench.first_held_out, bench.first_held_out + bench.n_evaluate)
with bench.timed("evaluate", bench.n_evaluate):
    # it reads users by row number, so the histories stand in rows 0, 1, … like the targets
    scores = ranking_metrics_at_k(
        model,
        X[held],
        bench.T[: bench.n_evaluate],
        K=bench.k,
        show_progress=False,
        num_threads=bench.threads,
    )
bench.note("evaluate", "ranking_metrics_at_k: one K, no recall; the figure is its NDCG")
bench.quality(scores["ndcg"], float("nan"), "absent")

with bench.timed("als_iteration"):
    als = AlternatingLeastSquares(
        factors=128, iterations=1, num_threads=bench.threads, random_state=0
    )
    als.fit(X, show_progress=False)
with bench.timed("als_recommend", bench.n_recommend):
    als.recommend(users, X[users], N=bench.k, filter_already_liked_items=True)
bench.write()
