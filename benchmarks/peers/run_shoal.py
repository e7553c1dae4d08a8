# mypy: ignore-errors
"""shoal, by its public functions."""

import numpy as np
import polars as pl
from common import Bench

import shoal
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.splitting.held_out import HeldOut

bench = Bench("shoal", "shoal", "numba", "polars")
run = shoal.Run(threads=bench.threads)
items = Ids(pl.Series(np.arange(bench.X.shape[1])), "int")


def log(matrix, first=0):
    rows = matrix.tocoo()
    users = Ids(pl.Series(np.arange(first, first + matrix.shape[0])), "int")
    return Interactions.from_codes(users, items, rows.row.astype(np.int32), rows.col)


# compiled kernels are loaded from numba's cache on first use; linear/run.py kernels times it
few = log(bench.X[:1_000])
warm = shoal.EASE(l2=bench.l2).fit(few.onto_items(items.subset(np.arange(200))), run=run)
shoal.recommend_all(warm, few, bench.k, run=run)

train = log(bench.X)
with bench.timed("fit"):
    model = shoal.EASE(l2=bench.l2).fit(train, run=run)

first = log(bench.X[: bench.n_recommend])
with bench.timed("recommend", bench.n_recommend):
    frame = shoal.recommend_all(model, first, bench.k, run=run)
ids = frame.group_by("user", maintain_order=True).agg("item")
lists = dict(zip(ids["user"].to_list(), ids["item"].to_list(), strict=True))
bench.keep([lists.get(u, []) for u in range(min(200, bench.n_recommend))])

held = slice(bench.first_held_out, bench.first_held_out + bench.n_evaluate)
history = log(bench.X[held], bench.first_held_out)
target = log(bench.T[: bench.n_evaluate], bench.first_held_out)
with bench.timed("evaluate", bench.n_evaluate):
    held_out = HeldOut(history, target, train.item_counts, "synthetic")
    found = shoal.evaluate(model, held_out, f"ndcg@{bench.k},recall@20,recall_full@20", run=run)
bench.quality(found[f"ndcg@{bench.k}"], found["recall@20"], "min(20, |T|)")
sizes = [n for n in (200, 300, 500, 1_000, 2_000, 5_000, 10_000) if n <= bench.n_evaluate]
bench.result["quality"]["of_the_first"] = {
    str(n): {m: float(np.nanmean(v[:n])) for m, v in found.per_user.items()} for n in sizes
}
bench.note("ranking", f"scoring and ranking are {found.seconds:.2f} s of evaluate")
bench.result["stages"]["evaluate"]["ranking_seconds"] = found.seconds
bench.write()
