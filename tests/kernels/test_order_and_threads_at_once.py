"""Numbers of threads when calls run at once, and how the threads of kernels are started."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from shoal.kernels import linear, threads
from shoal.kernels.agreement import Agreement, Pool
from shoal.kernels.environment import PASSIVE
from shoal.kernels.threads import one_blas_thread, use_threads


class Number:
    """A pool of threads that is only a number."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pool = Pool("a pool", lambda: self.count, self.set)

    def set(self, count: int) -> None:
        self.count = count


def in_thread(hold: Agreement, limit: int, number: Number, *, fit: bool) -> ExitStack:
    """Enter `hold` in another thread of Python; closing what is returned leaves it there."""
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with hold.hold(limit, [number.pool], fit=fit):
            inside.set()
            leave.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    stack = ExitStack()
    stack.callback(worker.join, 10)
    stack.callback(leave.set)
    stack.inside = inside  # type: ignore[attr-defined]
    return stack


def entered(stack: ExitStack, seconds: float = 5.0) -> bool:
    event: threading.Event = stack.inside  # type: ignore[attr-defined]
    return event.wait(seconds)


def test_calls_at_once_take_the_largest_number_and_the_last_one_restores_it() -> None:
    hold, number = Agreement(), Number(8)
    first = in_thread(hold, 1, number, fit=False)
    assert entered(first)
    assert number.count == 1
    second = in_thread(hold, 3, number, fit=False)
    assert entered(second)
    assert number.count == 3
    first.close()
    assert number.count == 3
    second.close()
    assert number.count == 8


def test_a_fit_decides_for_the_calls_beside_it() -> None:
    hold, number = Agreement(), Number(8)
    answer = in_thread(hold, 4, number, fit=False)
    assert entered(answer)
    fit = in_thread(hold, 2, number, fit=True)
    assert entered(fit)
    assert number.count == 2
    late = in_thread(hold, 7, number, fit=False)
    assert entered(late), "an answer must never wait for a fit"
    assert number.count == 2
    for stack in (fit, answer, late):
        stack.close()
    assert number.count == 8


def test_fits_of_several_threads_run_one_after_the_other() -> None:
    hold, number = Agreement(), Number(8)
    first = in_thread(hold, 2, number, fit=True)
    assert entered(first)
    second = in_thread(hold, 2, number, fit=True)
    assert not entered(second, 0.2)
    first.close()
    assert entered(second)
    assert number.count == 2
    second.close()
    assert number.count == 8


def test_fits_of_one_thread_run_at_once() -> None:
    hold, number = Agreement(), Number(8)
    both = [in_thread(hold, 1, number, fit=True) for _ in range(2)]
    assert all(entered(stack) for stack in both)
    assert number.count == 1
    waiting = in_thread(hold, 2, number, fit=True)
    assert not entered(waiting, 0.2)
    for stack in both:
        stack.close()
    assert entered(waiting)
    waiting.close()
    assert number.count == 8


def test_what_is_inside_a_fit_of_the_same_thread_does_not_wait() -> None:
    hold, number = Agreement(), Number(8)
    with hold.hold(2, [number.pool], fit=True):
        with hold.hold(1, [number.pool], fit=False):
            assert number.count == 1
        with hold.hold(4, [number.pool], fit=True):
            assert number.count == 4
        assert number.count == 2
    assert number.count == 8


def blas_threads() -> list[int]:
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


def test_blas_is_limited_from_every_thread_of_python() -> None:
    with threadpool_limits(2):  # from version 3.8 on, only the thread that did this may set more
        with ThreadPoolExecutor(1) as pool:

            def limited() -> list[int]:
                with one_blas_thread():
                    return blas_threads()

            assert set(pool.submit(limited).result()) == {1}
        assert set(blas_threads()) == {2}


def test_limits_are_as_before_after_many_calls_at_once() -> None:
    with use_threads(2):
        pass
    before = blas_threads()

    def call(count: int) -> None:
        for _ in range(50):
            with use_threads(1 + count % 2, fit=count % 3 == 0):
                time.sleep(0)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, range(12)))
    assert blas_threads() == before


def test_a_package_that_another_thread_is_importing_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = types.ModuleType("torch")  # without get_num_threads, as in the first moments
    half.__spec__ = types.SimpleNamespace(_initializing=True)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "torch", half)
    assert threads.imported("torch") is None
    with use_threads(1) as count:
        assert count == 1


@pytest.fixture
def product() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    indptr = np.arange(0, 3001, 30)
    indices = np.concatenate([np.sort(rng.choice(80, 30, replace=False)) for _ in range(100)])
    data = rng.standard_normal(3000).astype(np.float32)
    B = rng.standard_normal((80, 50)).astype(np.float32)
    return indptr, indices.astype(np.int32), data, B


def test_a_kernel_has_the_same_bits_in_one_thread_and_in_two(
    product: tuple[np.ndarray, ...],
) -> None:
    with use_threads(1):
        one = linear.sparse_times_dense(*product)
    with use_threads(2):
        two = linear.sparse_times_dense(*product)
    np.testing.assert_array_equal(one, two)
    indptr, indices, data, B = product
    dense = np.zeros((100, 80))
    for row in range(100):
        dense[row, indices[indptr[row] : indptr[row + 1]]] = data[indptr[row] : indptr[row + 1]]
    np.testing.assert_allclose(one, dense @ B, rtol=1e-4, atol=1e-4)


def test_containers_say_how_many_cores_they_have(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert threads.container_share(tmp_path) == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads.container_share(tmp_path) == float("inf")
    (tmp_path / "cpu.max").unlink()
    assert threads.container_share(tmp_path) == float("inf")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("400000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert threads.container_share(tmp_path) == 4.0
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert threads.container_share(tmp_path) == float("inf")


RANK_IN_THREADS = """
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from shoal.kernels import linear, threads
X = np.arange(201) * 5, np.tile(np.arange(5), 200).astype(np.int32), np.ones(1000, np.float32)
B = np.ones((5, 300), np.float32)
def work(_):
    with threads.use_threads(2):
        return all((linear.sparse_times_dense(*X, B) == 5).all() for _ in range(50))
with ThreadPoolExecutor(4) as pool:
    print(all(pool.map(work, range(8))), threads.layer(), threads.most_threads())
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in PASSIVE}
    env = {**inherited, "NUMBA_NUM_THREADS": "2", **environment}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_kernels_at_once_work_without_openmp() -> None:
    done = run(RANK_IN_THREADS, NUMBA_THREADING_LAYER="workqueue")
    assert done.stdout.split() == ["True", "workqueue", "2"], done.stderr


def test_a_threading_layer_that_is_not_there_leaves_one_thread() -> None:
    done = run(RANK_IN_THREADS, NUMBA_THREADING_LAYER="nonsense")
    assert done.stdout.split() == ["True", "None", "1"], done.stderr
    assert "NUMBA_THREADING_LAYER" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_number_of_threads_that_numba_refuses_is_taken_as_one() -> None:
    done = run(RANK_IN_THREADS, NUMBA_NUM_THREADS="0")
    assert done.stdout.split() == ["True", "None", "1"], done.stderr
    assert "NUMBA_NUM_THREADS=0" in done.stderr


def test_threads_wait_asleep_unless_the_user_says_otherwise() -> None:
    code = "import os, shoal.kernels; print(os.environ.get('OMP_WAIT_POLICY'))"
    assert run(code).stdout.split() == ["passive"]
    assert run(code, OMP_WAIT_POLICY="active").stdout.split() == ["active"]
    assert run(code, GOMP_SPINCOUNT="99").stdout.split() == ["None"]
