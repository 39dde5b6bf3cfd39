"""Runs as tasks of Ray."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
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
"""Of a Ray that is started here, unless the user has others."""


class Ray(Launcher):
    """Tasks of Ray: of the cluster that RAY_ADDRESS names, else of a Ray that is started here and ends with the grid.

    A task is not retried by Ray: what is done about a worker that died is the grid's to say, for all launchers alike.

    Args:
        options: devices of one run, its threads.
        jobs: runs at a time: each takes its part of the CPUs.
        runs_per_device: runs that share a GPU.
    """

    def __init__(self, options: Options, jobs: int | None, runs_per_device: int) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise UserError("--launcher ray needs Ray: pip install 'rnnreg[ray]'") from error
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
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"--launcher ray: no Ray at {address or 'this machine'}: {error}") from error
        self._ray, self._tasks = ray, list[Any]()
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        nodes = [(has.get("CPU", 0.0), has.get("GPU", 0.0)) for has in alive]
        every = int(sum(cpus for cpus, _ in nodes))
        threads = options.threads or (max(1, every // (jobs * options.devices)) if jobs else 1)
        on_gpus = options.accelerator == "gpu" or (options.accelerator == "auto" and any(gpus for _, gpus in nodes))
        cpus, gpus = threads * options.devices, options.devices / runs_per_device if on_gpus else 0.0
        # A run is on one node, which must have room for all of it.
        self.slots = sum(int(min(has[0] / cpus, has[1] / gpus if gpus else has[0])) for has in nodes)
        if not self.slots:
            ray.shutdown()
            there = ", ".join(f"{has[0]:g} and {has[1]:g}" for has in nodes)
            raise UserError(
                f"--launcher ray: a run needs {cpus} CPUs and {gpus:g} GPUs of a node, and the nodes have {there}"
            )
        self._needs = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self.options = replace(options, threads=threads)
        self.description = f"{self.slots} at a time on Ray, {threads_each(threads)}"

    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """See Launcher."""
        task = self._ray.remote(**self._needs)(_call)
        tasks = [task.remote(work, argument) for argument in arguments]
        self._tasks += tasks
        return [one.future() for one in tasks]

    def close(self, abort: bool) -> None:
        """See Launcher."""
        for task in self._tasks if abort else ():
            self._ray.cancel(task, force=True)
        self._ray.shutdown()


def _call(work: Work, argument: Any) -> Any:
    return work(argument)
