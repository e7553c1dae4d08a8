"""Many threads of a service ask one model object at once, of which nothing has been made yet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import shoal
from shoal.kernels import threads
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.toys import two_groups

N_THREADS, N_REQUESTS = 8, 12


def numbers_of_threads() -> list[int]:
    """The numbers of threads that the libraries of this process take."""
    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.parametrize(
    "model", [shoal.EASE(l2=3.0), shoal.ELSA(factors=4, n_epochs=1), shoal.ItemKNN()]
)
def test_each_gets_the_answer_that_it_gets_alone(model: Any, tmp_path: Path) -> None:
    log = from_dense(np.tile(two_groups(), (1, 20)))
    folder = shoal.save(model.fit(log, run=Run(threads=1)), tmp_path / "model")
    alone, rng = shoal.load(folder), np.random.default_rng(0)
    ids = alone.items.take(range(alone.n_items))
    baskets = [rng.choice(ids, size).tolist() for size in rng.integers(0, 9, N_REQUESTS)]

    def answers(model: Any, run: Run, basket: list[int]) -> list[Any]:
        found: list[Any] = [
            shoal.recommend(model, basket, 7, because=bool(basket), run=run),
            shoal.rank(model, basket, ids[::3], run=run),
        ]
        if basket:
            found += [shoal.explain(model, basket, ids[5])]
            found += [shoal.complement(model, basket, 4, diversity=0.5, run=run)]
        return found

    expected = [answers(alone, Run(threads=1), basket) for basket in baskets]
    before = numbers_of_threads()
    together, start = shoal.load(folder), Barrier(N_THREADS)

    def ask(number: int) -> list[list[Any]]:
        run = Run(threads=1 + number % 2)  # one history takes one thread, whatever is asked for
        start.wait()
        return [answers(together, run, basket) for basket in baskets]

    with ThreadPoolExecutor(N_THREADS) as pool:
        found = list(pool.map(ask, range(N_THREADS)))
    assert all(part == expected for part in found)
    assert numbers_of_threads() == before
    assert threads._local.limit is None
