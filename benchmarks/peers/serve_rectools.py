# mypy: ignore-errors
"""RecTools' EASE behind FastAPI, as one would write it in twenty lines: history in, ten items out.

It recommends to users of a Dataset, so that each request makes one of a single user. The weights
are given to it (`--weights`, float32, as RecTools keeps them): its own fit would take many minutes,
and how long an answer takes does not depend on them.
"""

import argparse
import os

import numpy as np
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from rectools import Columns
from rectools.dataset import Dataset, IdMap, Interactions
from rectools.models import EASEModel

parser = argparse.ArgumentParser()
parser.add_argument("--log", required=True, help="Parquet with the columns user and item")
parser.add_argument("--weights", required=True)
parser.add_argument("--port", type=int, required=True)
given = parser.parse_args()

model = EASEModel(recommend_n_threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
model.weight, model.is_fitted = np.load(given.weights), True
names = np.unique(pd.read_parquet(given.log, columns=["item"])["item"].to_numpy())

# what a user of RecTools writes
app = FastAPI()
users, items = IdMap.from_values([0]), IdMap.from_values(names)
known = set(names)
when = pd.Timestamp("2026-01-01")


class Query(BaseModel):
    history: list[str]
    k: int = 10


@app.post("/recommend")
def recommend(query: Query):
    history = [item for item in query.history if item in known]
    weights = [1.0] * len(history) + [0.0]  # the last item, so that the row has all columns
    history = [*history, names[-1]]
    frame = pd.DataFrame({Columns.Item: history, Columns.Weight: weights})
    frame[Columns.User], frame[Columns.Datetime] = 0, when
    log = Interactions.from_raw(frame, users, items)
    found = model.recommend([0], Dataset(users, items, log), k=query.k, filter_viewed=True)
    rows = zip(found[Columns.Item], found[Columns.Score], strict=True)
    return {"items": [{"item": item, "score": float(score)} for item, score in rows]}


uvicorn.run(app, port=given.port, log_level="warning", access_log=False)
