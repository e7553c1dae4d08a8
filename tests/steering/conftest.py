"""Models of the demo's catalogue, whose genres say what knobs should be made of."""

from __future__ import annotations

import polars as pl
import pytest

import shoal
from shoal.datasets.demo import demo_frames
from shoal.models.registry import create

ONE_THREAD = shoal.Run(threads=1, seed=3)


@pytest.fixture(scope="session")
def ratings_and_films() -> tuple[pl.DataFrame, pl.DataFrame]:
    return demo_frames(seed=0, n_users=900, n_items=400)


@pytest.fixture(scope="session")
def films(ratings_and_films: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    return ratings_and_films[1]


@pytest.fixture(scope="session")
def log(ratings_and_films: tuple[pl.DataFrame, pl.DataFrame]) -> shoal.Interactions:
    ratings, films = ratings_and_films
    return shoal.read(ratings, min_value=4, min_user_items=5, items=films)


@pytest.fixture(scope="session", params=["rdlae", "item-knn", "elsa", "compressed-elsa"])
def model(request: pytest.FixtureRequest, log: shoal.Interactions) -> shoal.Recommender:
    settings = {
        "rdlae": {"l2": 30.0, "dropout": 0.2, "xi": 0.3},
        "elsa": {"factors": 32, "n_epochs": 15},
        "compressed-elsa": {"factors": 48, "nonzeros": 8, "n_epochs": 25, "pruning": 8},
    }
    if "elsa" in request.param:
        pytest.importorskip("torch")
    return create(request.param, settings.get(request.param)).fit(log, None, ONE_THREAD)


@pytest.fixture(scope="session")
def knobs(model: shoal.Recommender) -> shoal.Knobs:
    return shoal.knobs(model)
