# mypy: ignore-errors
"""RecTools: EASEModel. 0.19 ranks by the transpose of B, which shows in the agreement."""

import numpy as np
import pandas as pd
from common import Bench
from rectools import Columns
from rectools.dataset import Dataset
from rectools.metrics import NDCG, Recall, calc_metrics
from rectools.models import EASEModel

bench = Bench("rectools", "rectools")


def frame(*, target=False):
    users, items = bench.pairs(target=target)
    when = pd.Timestamp("2020-01-01")
    return pd.DataFrame(
        {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: when}
    )


data = Dataset.construct(frame())
model = EASEModel(regularization=bench.l2, recommend_n_threads=bench.threads)
with bench.timed("fit"):
    model.fit(data)

with bench.timed("recommend", bench.n_recommend):
    found = model.recommend(np.arange(bench.n_recommend), data, k=bench.k, filter_viewed=True)
bench.note("recommend", "ranks by the transpose of B, whence the overlap")
lists = found.groupby(Columns.User)[Columns.Item].agg(list)
bench.keep([lists[user] for user in range(min(200, bench.n_recommend))])

test = frame(target=True)
held_out = np.arange(bench.first_held_out, bench.first_held_out + bench.n_evaluate)
with bench.timed("evaluate", bench.n_evaluate):
    ranked = model.recommend(held_out, data, k=bench.k, filter_viewed=True)
    wanted = {"ndcg": NDCG(k=bench.k, divide_by_achievable=True), "recall": Recall(k=20)}
    scores = calc_metrics(wanted, reco=ranked, interactions=test)
bench.quality(scores["ndcg"], scores["recall"], "|T|")
bench.write()
