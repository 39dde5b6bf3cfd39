"""Runs as tasks of Ray."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from benchmark.grid.launchers.base import Launcher, Work, threads_each
from benchmark.training.options import Options
from datamodules.cache import cores
from datamodules.errors import UserError

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # else even a Ray of this machine alone writes a token to HOME
    "RAY_worker_niceness": "0",  # else runs give way to whatever else the machine does
}
"""Environment variables of a Ray that is started here, unless the user has set others."""


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs that a node has, or that a run needs."""

    cpus: float
    gpus: float

    def holds(self, run: "Resources") -> int:
        """How many such runs a node with these resources has room for."""
        return int(min(self.cpus / run.cpus, self.gpus / run.gpus if run.gpus else self.cpus))


class Ray(Launcher):
    """Tasks of Ray, on the cluster that RAY_ADDRESS names, else on a Ray that is started here and ends with the grid.

    Ray itself retries no task: the grid decides about dead workers, for all launchers alike.

    Args:
        options: devices and threads of one run.
        jobs: maximum number of runs at a time, among which the CPUs are divided.
        runs_per_device: number of runs that share a GPU.
    """

    def __init__(self, options: Options, jobs: int | None, runs_per_device: int) -> None:
        self._ray, self._tasks = start_ray(), list[Any]()
        nodes = [
            Resources(node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        threads = options.threads or threads_of_a_run(nodes, jobs, options.devices)
        has_gpus = any(node.gpus for node in nodes)
        on_gpus = options.accelerator == "gpu" or (options.accelerator == "auto" and has_gpus)
        run = Resources(threads * options.devices, options.devices / runs_per_device if on_gpus else 0.0)
        self.slots = sum(node.holds(run) for node in nodes)  # a run is on one node, which has room for all of it
        if not self.slots:
            self._ray.shutdown()
            there = ", ".join(f"{node.cpus:g} and {node.gpus:g}" for node in nodes)
            raise UserError(
                f"--launcher ray: a run needs {run.cpus:g} CPUs and {run.gpus:g} GPUs of a node, "
                f"and the nodes have {there}"
            )
        self._needs = {"num_cpus": run.cpus, "num_gpus": run.gpus, "max_retries": 0}
        self.options = replace(options, threads=threads)
        self.description = f"{self.slots} at a time on Ray, {threads_each(threads)}"

    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """Do the work on each argument in a task of its own."""
        task = self._ray.remote(**self._needs)(_call)
        tasks = [task.remote(work, argument) for argument in arguments]
        self._tasks += tasks
        return [one.future() for one in tasks]

    def close(self, abort: bool) -> None:
        """Leave the cluster, or end the Ray that was started here; with `abort`, cancel the tasks."""
        for task in self._tasks if abort else ():
            self._ray.cancel(task, force=True)
        self._ray.shutdown()


def start_ray() -> Any:
    """Join the cluster at RAY_ADDRESS, or start a Ray on this machine; return the module `ray`.

    Raises:
        UserError: Ray is not installed, or cannot be reached or started.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UserError("--launcher ray needs Ray: pip install -e '.[ray]'") from error
    address = os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = {} if address else {"num_cpus": cores(), "include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}},
            **here,
        )
    except Exception as error:  # such as OSError for a TMPDIR too long for the path of a socket
        raise UserError(f"--launcher ray: no Ray at {address or 'this machine'}: {error}") from error
    return ray


def threads_of_a_run(nodes: Sequence[Resources], jobs: int | None, devices: int) -> int:
    """CPU threads of a run on each of its devices: its share of the CPUs if the number of runs is set, else one."""
    return max(1, int(sum(node.cpus for node in nodes)) // (jobs * devices)) if jobs else 1


def _call(work: Work, argument: Any) -> Any:
    return work(argument)
