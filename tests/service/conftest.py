"""A model whose scores a person can add up, and services of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from shoal.artifact import Store, save
from shoal.data.ids import Ids
from shoal.models.ease import EASE
from shoal.service.app import create_app
from shoal.service.settings import make_settings

# B[j, i], from history item j to candidate i; ids are 10, 20, 30, 40
B = np.array([[0, 3, 2, 1], [3.5, 0, 4, -1], [0, 0, 0, 6], [1, 1, 1, 0]], dtype=np.float32)
ITEMS = [10, 20, 30, 40]
USERS_OF_ITEM = [5, 9, 2, 4]  # in training: the popular list is 20, 10, 40, 30
TITLES = ["Ten", "Twenty", "Thirty", "Forty"]
YEARS = [1980, 1990, 2000, 2010]

Client = Callable[..., TestClient]


def make_model(factor: float = 1.0) -> EASE:
    """The model of this file, with all scores times a factor."""
    model = EASE()
    model.restore({"weights": factor * B})
    table = pl.DataFrame({"item": ITEMS, "title": TITLES, "year": YEARS})
    ids = Ids(pl.Series(ITEMS), "int")
    model.restore_catalogue(ids, table, "", {}, item_counts=np.array(USERS_OF_ITEM))
    return model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service") / "model"
    save(make_model(), folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store", create=True)
    store.publish(make_model())
    return store


@pytest.fixture
def client(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Makes a client of a service with these settings, which answers already."""
    for name in ("SHOAL_READ_KEY", "SHOAL_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as open_clients:

        def make(*, wait: bool = True, base_url: str = "http://127.0.0.1", **options: Any) -> Any:
            settings = make_settings(**{"model": model_folder, "poll_seconds": 0.02, **options})
            app = create_app(settings)
            made = open_clients.enter_context(TestClient(app, base_url=base_url))
            if wait:
                for live in app.state.service.models.values():
                    assert live.first_look.wait(60)
            return made

        yield make


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "experiment.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def tenfold(tmp_path: Path) -> Store:
    store = Store(tmp_path / "tenfold", create=True)
    store.publish(make_model(10))
    return store


@pytest.fixture
def events(tmp_path: Path) -> str:
    return str(tmp_path / "events.db")
