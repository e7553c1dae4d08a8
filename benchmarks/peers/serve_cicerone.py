# mypy: ignore-errors
"""cicerone's serve mode: lists that a batch job has computed before, looked up by user.

It ranks nothing when it is asked, knows only users of the batch, and takes no history; it stands
here as the one product on PyPI of the same purpose. Its batch job is not run: the file of lists
that it would have written is written here, ten rows for each of so many users.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

parser = argparse.ArgumentParser()
parser.add_argument("--folder", type=Path, required=True)
parser.add_argument("--users", type=int, required=True)
parser.add_argument("--items", type=int, required=True)
parser.add_argument("--port", type=int, required=True)
given = parser.parse_args()

folder = given.folder.resolve()
folder.mkdir(parents=True, exist_ok=True)
k, rng = 10, np.random.default_rng(0)
frame = pd.DataFrame(
    {
        "user_id": [f"u{user:06d}" for user in range(given.users) for _ in range(k)],
        "item_id": [f"i{item:06d}" for item in rng.integers(0, given.items, given.users * k)],
        "rank": np.tile(np.arange(1, k + 1), given.users),
        "score": np.sort(rng.random((given.users, k)), axis=1)[:, ::-1].ravel(),
        "source": "blended",
    }
)
frame.to_parquet(folder / "recommendations.parquet")
config = folder / "cicerone.toml"
storage = f'kind = "dataset"\noptions = {{ storage_backend = "local", path = "{folder}" }}\n'
config.write_text(
    f'[job]\nmode = "serve"\n[input]\n{storage}[output]\n{storage}'
    f'[serve]\nhost = "127.0.0.1"\nport = {given.port}\ndefault_k = {k}\n'
    'auth_token = "benchmark"\n'  # it does not start without one
)
command = [sys.executable, "-m", "cicerone", "--config", str(config), "serve"]
os.execv(sys.executable, command)  # noqa: S606
