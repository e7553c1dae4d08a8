# mypy: ignore-errors
"""implicit behind FastAPI, as one would write it in twenty lines: a history in, ten items out.

`als` has 128 factors and solves for the user anew at each request; `item-item` is cosine, K=100.
"""

import argparse
import os

import numpy as np
import pyarrow.parquet as pq
import uvicorn
from fastapi import FastAPI
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from pydantic import BaseModel
from scipy.sparse import csr_matrix

parser = argparse.ArgumentParser()
parser.add_argument("kind", choices=["als", "item-item"])
parser.add_argument("--log", required=True, help="Parquet with the columns user and item")
parser.add_argument("--port", type=int, required=True)
given = parser.parse_args()
threads = int(os.environ.get("OMP_NUM_THREADS", "1"))

log = pq.read_table(given.log)
users, u = np.unique(log["user"].to_numpy(), return_inverse=True)
items, i = np.unique(log["item"].to_numpy(), return_inverse=True)
X = csr_matrix((np.ones(u.size, np.float32), (u, i)), shape=(users.size, items.size))
als = AlternatingLeastSquares(factors=128, iterations=5, num_threads=threads, random_state=0)
model = als if given.kind == "als" else CosineRecommender(K=100, num_threads=threads)
model.fit(X, show_progress=False)

# what a user of implicit writes
app = FastAPI()
names = items.tolist()
column = {name: number for number, name in enumerate(names)}
options = {"recalculate_user": True} if given.kind == "als" else {}


class Query(BaseModel):
    history: list[str]
    k: int = 10


@app.post("/recommend")
def recommend(query: Query):
    columns = [column[item] for item in query.history if item in column]
    shape = (1, len(names))
    row = csr_matrix((np.ones(len(columns), np.float32), ([0] * len(columns), columns)), shape)
    ids, scores = model.recommend(0, row, N=query.k, **options)
    return {
        "items": [{"item": names[i], "score": float(s)} for i, s in zip(ids, scores, strict=True)]
    }


uvicorn.run(app, port=given.port, log_level="warning", access_log=False)
