"""What `RayExecutor` does where machines come, go, or are too small."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ray = pytest.importorskip("ray")

from shoal.cluster.checks import check_machines  # noqa: E402
from shoal.cluster.faults import as_shoal_error  # noqa: E402
from shoal.cluster.ray_executor import RayExecutor  # noqa: E402
from shoal.errors import ClusterError, FileError, MemoryBudgetError  # noqa: E402
from shoal.executor import Needs  # noqa: E402
from tests.cluster.conftest import STORE  # noqa: E402


@pytest.fixture
def late(two_nodes: Any) -> Iterator[Any]:
    """A third machine, which joins while there is work."""
    node = two_nodes.add_node(
        num_cpus=1, object_store_memory=STORE, include_dashboard=False, wait=False
    )
    yield node
    if node in two_nodes.worker_nodes:
        two_nodes.remove_node(node)


def where(seconds: float) -> Any:
    """A task that takes its time, and says on which machine it was done."""

    def task(_number: int) -> str:  # not of a module, so that it travels as code
        import ray

        time.sleep(seconds)
        return str(ray.get_runtime_context().get_node_id())

    return task


def test_a_machine_that_joins_late_does_its_part(two_nodes: Any, late: Any) -> None:
    executor = RayExecutor()
    until = time.monotonic() + 60
    places: set[str] = set()
    while late.node_id not in places and time.monotonic() < until:
        places |= set(executor.map(where(0.2), range(6)))
    assert late.node_id in places
    assert executor.n_workers == 3


def test_tasks_of_a_machine_that_is_lost_are_done_by_others(two_nodes: Any, late: Any) -> None:
    executor = RayExecutor()
    two_nodes.wait_for_nodes()
    handles = [executor.submit(where(0.5), number) for number in range(9)]
    time.sleep(0.7)  # all three have begun
    two_nodes.remove_node(late, allow_graceful=False)
    places = [executor.get(handle) for handle in handles]
    assert len(places) == 9
    until = time.monotonic() + 60  # the head may hear of it later than tasks are done again
    while executor.n_workers > 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert executor.n_workers == 2


@pytest.mark.usefixtures("two_nodes")
def test_a_task_that_no_machine_can_do_is_refused_instead_of_waiting() -> None:
    executor = RayExecutor()
    for needs in (Needs(threads=3), Needs(memory=10**15), Needs(gpus=1)):
        with pytest.raises(MemoryBudgetError, match=r"no machine has it: there are .*1 core"):
            executor.submit(divmod, 7, 2, needs=needs)
    assert executor.get(executor.submit(divmod, 7, 2, needs=Needs(largest=True))) == (3, 1)


@pytest.mark.usefixtures("two_nodes")
def test_values_for_which_the_object_stores_are_too_small_are_refused() -> None:
    executor = RayExecutor()
    executor.check_room("the log", STORE // 2, STORE)
    with pytest.raises(
        MemoryBudgetError, match=r"the log needs 1\.0 TB on each machine.*125\.8 MB"
    ):
        executor.check_room("the log", 10**12, 10**12)
    with pytest.raises(MemoryBudgetError, match=r"2 machines have together 251\.7 MB"):
        executor.check_room("the log", STORE // 2, 3 * STORE)


@pytest.mark.usefixtures("two_nodes")
def test_too_little_memory_in_a_task_is_an_error_that_says_so() -> None:
    executor = RayExecutor()
    with pytest.raises(MemoryBudgetError, match="not enough memory for a task"):
        executor.get(executor.submit(np.ones, 10**16))


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (ray.exceptions.OutOfMemoryError("killed"), MemoryBudgetError, "not enough memory"),
        (ray.exceptions.ObjectStoreFullError("full"), MemoryBudgetError, "object store"),
        (ray.exceptions.OutOfDiskError("full"), MemoryBudgetError, "the disk it spills to"),
        (ray.exceptions.NodeDiedError("gone"), ClusterError, r"was lost.*\(gone\)"),
        (ray.exceptions.WorkerCrashedError(), ClusterError, "was lost"),
        (ray.exceptions.RaySystemError("no head"), ClusterError, "was lost"),
    ],
)
def test_errors_of_ray_are_told_in_words_of_the_user(error: Any, kind: Any, told: str) -> None:
    with pytest.raises(kind, match=told):
        raise as_shoal_error(error)


@pytest.mark.usefixtures("two_nodes")
def test_an_error_of_a_file_comes_back_whole_from_a_worker() -> None:
    problems = ((3, "no user"), (None, "ends early"))

    def task() -> None:
        raise FileError("log.csv", problems, "Repair it.")

    executor = RayExecutor()
    with pytest.raises(FileError, match=r"log.csv, line 3: no user; and 1 more") as caught:
        executor.get(executor.submit(task))
    assert caught.value.problems == problems


@pytest.mark.usefixtures("two_nodes")
def test_machines_that_see_all_files_and_share_the_folder_pass(tmp_path: Path) -> None:
    log, out = tmp_path / "log.csv", tmp_path / "model"
    log.write_text("user,item\n1,2\n")
    check_machines({"log": log, "items": Path("s3:/bucket/items.csv")}, {"out": out})
    assert sorted(tmp_path.iterdir()) == [log]  # no mark is left
