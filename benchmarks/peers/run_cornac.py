# mypy: ignore-errors
"""Cornac: EASE with posB=False (its default drops negative weights, another model)."""

import numpy as np
from common import Bench
from cornac.data import Dataset
from cornac.eval_methods import ranking_eval
from cornac.metrics import NDCG, Recall
from cornac.models import EASE

bench = Bench("cornac", "cornac")


def triples(*, target=False):
    users, items = bench.pairs(target=target)
    return list(zip(users.tolist(), items.tolist(), np.ones(items.size).tolist(), strict=True))


train = Dataset.build(triples())
with bench.timed("fit"):
    model = EASE(lamb=bench.l2, posB=False, verbose=False).fit(train)

with bench.timed("recommend", bench.n_recommend):
    found = [
        model.recommend(user, k=bench.k, remove_seen=True, train_set=train)
        for user in range(bench.n_recommend)
    ]
bench.note("recommend", "Recommender.recommend, one user at a time: it has no batch call")
bench.keep(found)

test = Dataset.build(
    triples(target=True), global_uid_map=train.uid_map, global_iid_map=train.iid_map
)
with bench.timed("evaluate", bench.n_evaluate):
    means, _ = ranking_eval(model, [NDCG(k=bench.k), Recall(k=20)], train, test)
bench.quality(*means, "|T|")
bench.write()
