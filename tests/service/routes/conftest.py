"""A store with a small model, and the service on it, asked without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.artifact import Store
from shoal.service import steering
from shoal.service.app import create_app
from shoal.service.settings import Settings
from shoal.service.shared import Service
from tests import waiting

TITLES = {
    "a/b": "Café Müller",
    "50%": "The <b>Bold</b> & the Brave",
    "..": "Dots",
    "x y": "Größe 42",
    "plain": "Plain café",
}
Serve = Callable[..., TestClient]


@pytest.fixture(scope="session")
def fitted() -> Callable[[float], shoal.Recommender]:
    """EASE on two circles of users, with titles; the strength of its penalty tells it apart."""
    rng = np.random.default_rng(0)
    odd, even = ["a/b", "50%", "..", *(f"o{n}" for n in range(6))], ["x y", "plain"]
    even += [f"e{n}" for n in range(6)]
    rows = [
        (f"u{u:02}", item)
        for u in range(60)
        for item in rng.choice(odd if u % 2 else even, 5, replace=False)
    ]
    names = sorted({*odd, *even})
    items = pl.DataFrame({"item": names, "title": [TITLES.get(n, f"Film {n}") for n in names]})
    log = shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"), items=items)
    return lambda l2: shoal.EASE(l2=l2).fit(log, None, shoal.Run(threads=1))


@pytest.fixture(autouse=True)
def time_for_knobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for knobs as long as a busy machine takes to make them."""
    monkeypatch.setattr(steering, "WAIT", 60.0)


@pytest.fixture
def store(tmp_path: Path, fitted: Callable[[float], shoal.Recommender]) -> Store:
    kept = Store(tmp_path / "store", create=True)
    kept.publish(fitted(10.0))
    return kept


@pytest.fixture
def serve(store: Store) -> Iterator[Serve]:
    """Starts a service on the store; settings by name."""
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            values = {"model": store.path, "threads": 1, "log_level": "error", **settings}
            app = create_app(Settings(**values))
            client = stack.enter_context(TestClient(app, base_url="http://localhost"))
            for live in app.state.service.all_models():
                assert live.first_look.wait(60)
            return client

        yield start


def service_of(client: TestClient) -> Service:
    """What the routes of a client's service share."""
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    return service


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is true."""
    return partial(waiting.until, seconds=30)
