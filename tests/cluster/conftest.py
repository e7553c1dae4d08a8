"""A Ray cluster of two nodes on this machine, and executors that are compared."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.cluster.local import LocalExecutor
from shoal.executor import Executor

ray = pytest.importorskip("ray")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# files whose tests of kills take a minute and more each; those of others are always run
MANY_KILLS = (
    "test_training.py",
    "test_tiles.py",
    "test_run_file.py",
    "test_lists.py",
    "test_search.py",
)
STORE = 120 * 2**20  # bytes of the object store of each node


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of this folder a time-out, since what waits for a machine can wait for ever.

    Without it a lost reply would stop the whole suite.
    """
    here = Path(__file__).parent
    later = pytest.mark.skip(reason="minutes of kills: make test-kills (SHOAL_KILLS=1)")
    for item in items:
        if (
            item.path.name in MANY_KILLS
            and "kill" in item.name
            and not os.environ.get("SHOAL_KILLS")
        ):
            item.add_marker(later)
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[object]:
    """A `ray.cluster_utils.Cluster` of two nodes with one core each; this process is connected.

    Its folder has a short name, since the path of a socket may have 107 characters.
    """
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
    node = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_TMPDIR", folder)
        # where others use the machine too, an answer may come late from a node that is alive
        environment.setenv("RAY_health_check_timeout_ms", "60000")
        environment.setenv("RAY_health_check_failure_threshold", "20")
        environment.setenv("RAY_raylet_start_wait_time_s", "100")
        cluster = Cluster(initialize_head=True, head_node_args=node)
        try:
            cluster.add_node(**node)
            ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["local", "ray"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """An executor of each kind: a test that takes it says what holds for both."""
    if request.param == "local":
        return LocalExecutor(threads=1)
    request.getfixturevalue("two_nodes")
    from shoal.cluster.ray_executor import RayExecutor

    return RayExecutor()
