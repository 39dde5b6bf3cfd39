"""Runs on a Ray cluster of two nodes with pretended GPUs: which GPUs Ray gives to a run, not what computes."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from benchmark.grid.launchers.ray import Ray
from benchmark.training.options import Options
from datamodules.errors import UserError

pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two nodes, each with one GPU and more CPUs than runs."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 5, "num_gpus": 1})
    nodes.add_node(num_cpus=5, num_gpus=1)
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # for the workers to find `meet`
    yield
    nodes.shutdown()


def meet(name: str, folder: Path, party: int) -> tuple[str, str]:
    """Wait until so many runs are under way at once; return the node and the GPU of this one."""
    import ray

    (folder / name).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < party:
        assert time.monotonic() < deadline, f"{len(list(folder.iterdir()))} of {party} runs at once"
        time.sleep(0.05)
    return ray.get_runtime_context().get_node_id(), os.environ.get("CUDA_VISIBLE_DEVICES", "")


def test_two_runs_share_each_gpu_of_a_cluster(cluster, tmp_path) -> None:
    fifths = Ray(Options(threads=1), None, 5)
    fifths.close(abort=False)
    assert fifths.slots == 10  # 1 // 0.2 is 4
    launcher = Ray(Options(threads=1), None, 2)
    assert (launcher.slots, launcher.description) == (4, "4 at a time on Ray, 1 CPU thread each")
    runs = launcher.launch(partial(meet, folder=tmp_path, party=4), [f"run-{number}" for number in range(4)])
    had = Counter(run.result(timeout=180) for run in runs)
    launcher.close(abort=False)
    assert sorted(had.values()) == [2, 2]
    assert {gpu for _, gpu in had} == {"0"}  # the first of each node


def test_a_run_that_wants_a_gpu_has_one_to_itself_or_is_refused(cluster) -> None:
    launcher = Ray(Options(threads=1, accelerator="gpu"), None, 1)
    assert launcher.slots == 2
    launcher.close(abort=False)
    with pytest.raises(UserError, match="a run needs 2 CPUs and 2 GPUs of a node, and the nodes have 5 and 1, 5 and 1"):
        Ray(Options(threads=1, devices=2), None, 1)
