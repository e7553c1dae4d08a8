# mypy: ignore-errors
"""RecBole: MultiVAE or RecVAE by its own trainer; files are written to a temporary folder."""

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
from recbole.model.general_recommender.recvae import RecVAE
from recbole.trainer import RecVAETrainer, Trainer

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

deeper = bench.model == "recvae"
kind, trainer_kind = (RecVAE, RecVAETrainer) if deeper else (MultiVAE, Trainer)
own = {
    "mlp_hidden_size": [deep.HIDDEN],
    "latent_dimension": 2 * deep.FACTORS,  # the mean's and the variance's together
    "anneal_cap": deep.BETA,
    "total_anneal_steps": deep.ANNEAL,
    "learning_rate": deep.LR,
}
if deeper:
    own = {
        "hidden_dimension": deep.HIDDEN,
        "latent_dimension": deep.FACTORS,
        "gamma": 5e-3,
        "learning_rate": 5e-4,
    }
config = Config(
    model=kind.__name__,
    dataset="bench",
    config_dict={
        "data_path": str(work),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        **own,
        "dropout_prob": deep.DROPOUT,
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
    model = kind(config, train.dataset)
    trainer = trainer_kind(config, model)
    for at in range(bench.epochs):
        with bench.epoch():
            total = trainer._train_epoch(train, at)
        bench.loss(total / len(train))
noise = "" if deeper else "; latent noise of deviation 0.01 only"
bench.note("epochs", f"Trainer._train_epoch, which fit calls{noise}")
bench.write()
