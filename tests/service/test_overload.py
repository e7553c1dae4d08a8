"""More requests than threads: some wait, the rest are told so at once, and `live` answers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


@pytest.fixture
def blocked(client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service with one thread, which waits for an event in every recommendation."""
    from shoal.service.routes import recommend

    go_on, real = threading.Event(), recommend.recommend_to

    def slow(*args: Any, **options: Any) -> Any:
        assert go_on.wait(20)
        return real(*args, **options)

    monkeypatch.setattr(recommend, "recommend_to", slow)
    made = client(threads=1, queue=2)
    yield made, go_on
    go_on.set()


def test_the_queue_is_bounded_and_live_answers_meanwhile(blocked: Any) -> None:
    made, go_on = blocked
    pool_of_service = made.app.state.service.pool
    with ThreadPoolExecutor(8) as pool:
        waiting = [
            pool.submit(made.post, "/v1/recommend", json={"history": [10]}) for _ in range(3)
        ]
        end = time.monotonic() + 20
        while pool_of_service.pending < 3:
            assert time.monotonic() < end
            time.sleep(0.005)
        refused = made.post("/v1/recommend", json={"history": [10]})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "overloaded" in refused.json()["detail"]
        assert made.get("/live").json()["status"] == "live"
        assert made.get("/ready").status_code == 200
        assert not any(future.done() for future in waiting)
        go_on.set()
        assert [future.result().status_code for future in waiting] == [200] * 3
    assert "shoal_shed_requests_total 1.0" in made.get("/metrics").text
    assert pool_of_service.pending == 0
    assert made.post("/v1/recommend", json={"history": [10]}).status_code == 200


def test_nothing_ranks_in_the_thread_of_the_event_loop(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.base.recommender import Recommender

    made, threads, real = client(), [], Recommender.rank

    def noted(*args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread().name)
        return real(*args, **options)

    monkeypatch.setattr(Recommender, "rank", noted)
    made.post("/v1/recommend", json={"history": [10]})
    made.post("/v1/batch", json={"requests": [{"history": [10]}] * 3})
    made.post("/v1/similar", json={"item": 10})
    made.get("/v1/recommend/nobody")
    assert threads
    assert all(name.startswith("rank-") for name in threads)
