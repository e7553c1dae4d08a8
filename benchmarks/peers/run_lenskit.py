# mypy: ignore-errors
"""LensKit: EASEScorer in its standard top-n pipeline."""

import pandas as pd
from common import Bench
from lenskit import batch
from lenskit.data import ItemListCollection, UserIDKey, from_interactions_df
from lenskit.knn.ease import EASEScorer
from lenskit.metrics import NDCG, LogRankWeight, Recall, RunAnalysis
from lenskit.pipeline import topn_pipeline

bench = Bench("lenskit", "lenskit", "torch")


def frame(*, target=False):
    users, items = bench.pairs(target=target)
    return pd.DataFrame({"user_id": users, "item_id": items.astype("int64")})


data = from_interactions_df(frame())
pipeline = topn_pipeline(EASEScorer(regularization=bench.l2), n=bench.k)
with bench.timed("fit"):
    pipeline.train(data)

users = list(range(bench.n_recommend))
with bench.timed("recommend", bench.n_recommend):
    found = batch.recommend(pipeline, users, bench.k, n_jobs=1)
bench.note("recommend", "batch.recommend, n_jobs=1 with BLAS on all threads")
bench.keep([found.lookup(user_id=u).ids() for u in users[:200]])

test = ItemListCollection.from_df(frame(target=True), UserIDKey)
with bench.timed("evaluate", bench.n_evaluate):
    held_out = range(bench.first_held_out, bench.first_held_out + bench.n_evaluate)
    lists = batch.recommend(pipeline, list(held_out), bench.k, n_jobs=1)
    # its default gives the first two ranks the same weight, as in the first paper on DCG
    ndcg = NDCG(n=bench.k, weight=LogRankWeight(offset=1))
    scores = RunAnalysis(ndcg, Recall(n=20)).measure(lists, test).list_summary()
bench.quality(*scores["mean"], "min(20, |T|)")
bench.write()
