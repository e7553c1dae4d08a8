# mypy: ignore-errors
"""RecBole: EASE. It fits when the model is made; its files are written to a temporary folder."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import Bench
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender.ease import EASE
from recbole.trainer import Trainer
from recbole.utils.case_study import full_sort_topk

bench = Bench("recbole", "recbole", "torch", "ray", "pandas")
bench.out = bench.out.absolute()
del sys.argv[1:]  # it reads the command line too
temporary = tempfile.TemporaryDirectory(prefix="recbole-")
work = Path(temporary.name)
os.chdir(work)  # it makes log folders where it stands
(work / "bench").mkdir()


def write(part, users, items):
    frame = pd.DataFrame({"user_id:token": users, "item_id:token": items})
    frame.to_csv(work / "bench" / f"bench.{part}.inter", sep="\t", index=False)


users, items = bench.pairs()
write("train", users, items)
write("valid", users[:1], items[:1])  # it wants one; a training pair changes nothing
write("test", *bench.pairs(target=True))


def prepare(**settings):
    config = Config(
        model="EASE",
        dataset="bench",
        config_dict={
            "data_path": str(work),
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": {"inter": ["user_id", "item_id"]},
            "reg_weight": bench.l2,
            "metrics": ["NDCG", "Recall"],
            "topk": [20, bench.k],
            "metric_decimal_place": 7,
            "valid_metric": "NDCG@20",
            "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
            "train_neg_sample_args": None,
            "use_gpu": False,
            "state": "ERROR",
            "show_progress": False,
            **settings,
        },
    )
    data = create_dataset(config)
    train, _, test = data_preparation(config, data)
    return config, data, train, test


with bench.timed("load"):
    config, data, train, test = prepare()
with bench.timed("fit"):
    model = EASE(config, train.dataset)

some = min(bench.n_recommend, bench.n_evaluate)
held_out = [str(bench.first_held_out + at) for at in range(some)]
ids = data.token2id(data.uid_field, held_out)
with bench.timed("recommend", some):
    found = [
        full_sort_topk(ids[at : at + 500], model, test, bench.k)[1].numpy()
        for at in range(0, some, 500)
    ]
bench.note("recommend", "full_sort_topk, 500 held-out users at a time: it knows no other history")
tokens = data.id2token(data.iid_field, np.concatenate(found)[:200])
bench.keep(tokens.astype(np.int64), held_out=True)

with bench.timed("evaluate", bench.n_evaluate):
    scores = Trainer(config, model).evaluate(test, load_best_model=False)
bench.note("evaluate", "default eval_batch_size of 4,096 pairs: above 4,096 items one user a batch")
bench.quality(scores[f"ndcg@{bench.k}"], scores["recall@20"], "|T|")

config, _, _, test = prepare(eval_batch_size=500 * bench.X.shape[1])
with bench.timed("evaluate_by_hand", bench.n_evaluate):
    Trainer(config, model).evaluate(test, load_best_model=False)
bench.note("evaluate_by_hand", "eval_batch_size = 500 · n_items")
bench.write()
