# mypy: ignore-errors
"""SLIMScorer of LensKit with its own stopping rule."""

import os

import pandas as pd
import scipy.sparse as sp
from slim_common import SlimBench

bench = SlimBench("lenskit", "lenskit")
os.environ["LK_NUM_THREADS"] = str(bench.threads)  # read when it is imported

from lenskit.data import from_interactions_df  # noqa: E402
from lenskit.knn.slim import SLIMScorer  # noqa: E402
from lenskit.training import TrainingOptions  # noqa: E402

users, items = bench.pairs()
data = from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items.astype("int64")}))
scorer = SLIMScorer(l1_reg=bench.l1, l2_reg=bench.l2)
with bench.timed("fit"):
    scorer.train(data, TrainingOptions())
bench.note("fit", "stops below a change of 1e-3 of every weight, at most 100 sweeps")
there = scorer.items.ids().astype("int64")  # items without users are not in its catalogue
place = sp.coo_array(scorer.weights)
n = bench.X.shape[1]
bench.weights(sp.coo_array((place.data, (there[place.row], there[place.col])), shape=(n, n)))
bench.write()
