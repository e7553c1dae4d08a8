# mypy: ignore-errors
"""RecBole: MultiVAE by its own trainer; its files are written to a temporary folder."""

import os
import sys
import tempfile
from pathlib import Path

import deep_common as deep
import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender.multivae import MultiVAE
from recbole.trainer import Trainer

bench = deep.Training("recbole", "recbole", "pandas")
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
for part in ("valid", "test"):
    write(part, users[:1], items[:1])  # it wants them; nothing here looks at them

config = Config(
    model="MultiVAE",
    dataset="bench",
    config_dict={
        "data_path": str(work),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "mlp_hidden_size": [deep.HIDDEN],
        "latent_dimension": 2 * deep.FACTORS,  # the mean's and the variance's together
        "dropout_prob": deep.DROPOUT,
        "anneal_cap": deep.BETA,
        "total_anneal_steps": deep.ANNEAL,
        "learning_rate": deep.LR,
        "train_batch_size": deep.BATCH,
        "enable_amp": bench.precision == "bfloat16",
        "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
        "train_neg_sample_args": None,
        "use_gpu": False,
        "state": "ERROR",
        "show_progress": False,
    },
)
with bench.timed("load"):
    data = create_dataset(config)
    train, _, _ = data_preparation(config, data)
torch.set_num_threads(bench.threads)  # its Config may set them
with bench.timed("fit"):
    model = MultiVAE(config, train.dataset)
    trainer = Trainer(config, model)
    for at in range(bench.epochs):
        with bench.epoch():
            total = trainer._train_epoch(train, at)
        bench.loss(total / len(train))
bench.note("epochs", "Trainer._train_epoch, which fit calls; latent noise of deviation 0.01 only")
bench.write()
