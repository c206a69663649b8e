"""A cluster whose nodes come and go."""

from pathlib import Path

import pytest

from autopeft.executors import cluster as ray_cluster
from tests.faults.driver import Driver, require_whole, wait_until

pytestmark = [
    pytest.mark.faults,
    # Ray's own code warns of itself.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),
]


def test_a_node_leaves_with_a_trial_on_it(settings: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ray_cluster.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        leaving = cluster.add_node(num_cpus=1)
        options = [*settings, "--trials", 20, "--workers", 2, "--epochs", 10, "--address", cluster.address]
        driver = Driver(options, tmp_path / "run", prefix=["env"])  # who joins a cluster has an interpreter of his own
        process = driver.start()
        assert wait_until(lambda: len(driver.ended()) >= 4, process), process.communicate()[0]
        cluster.remove_node(leaving, allow_graceful=False)
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == 0, printed
        require_whole(driver, 20, {})
        assert {record.state for record in driver.records()} == {"complete"}
    finally:
        cluster.shutdown()
