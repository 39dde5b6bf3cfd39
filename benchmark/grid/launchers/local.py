"""Runs in processes of this machine."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from benchmark.grid.launchers.base import Launcher, Work, WorkerDied, threads_each
from benchmark.training.devices import check_gpus, follow_parent
from benchmark.training.options import Options, require_at_most
from benchmark.training.processes import begin, changed_environment, context, start_server
from datamodules.cache import cores, share_of_cores


@dataclass(frozen=True)
class Slot:
    """A share of this machine that does one run at a time, in a process that it keeps for the next run."""

    environment: Mapping[str, str]
    pools: list[ProcessPoolExecutor] = field(default_factory=list)
    """The pool of that one process; empty before the first run, and after the process has died."""

    def do(self, work: Work, argument: Any) -> Any:
        """Do the work in this slot's process.

        Raises:
            WorkerDied: the process ended before the work was done.
        """
        if not self.pools:
            self.pools.append(self._start())
        try:
            return self.pools[0].submit(work, argument).result()
        except BrokenProcessPool as error:
            self.pools.clear()
            raise WorkerDied("its process was killed (out of memory?)") from error

    def _start(self) -> ProcessPoolExecutor:
        """Start the process with its environment set, since a library may look for GPUs as it is imported."""
        with _starting:
            changed = {**changed_environment(), **self.environment}
            pool = ProcessPoolExecutor(1, context(), _start_worker, (changed,))
            before = {name: os.environ.get(name) for name in self.environment}
            os.environ.update(self.environment)
            try:
                pool.submit(os.getpid)  # starts it
            finally:
                for name, value in before.items():
                    os.environ.pop(name) if value is None else os.environ.update({name: value})
        return pool


_starting = threading.Lock()
"""Held while a process starts, since the environment that it inherits is that of this process."""


def _start_worker(environment: Mapping[str, str]) -> None:
    begin(environment)
    for number in (signal.SIGINT, signal.SIGHUP):  # handled by the main process, which then sends SIGTERM
        signal.signal(number, signal.SIG_IGN)
    follow_parent()


class Local(Launcher):
    """Processes of this machine: a slot for each GPU, group of GPUs or share of the cores; a free one takes a run.

    Args:
        options: devices and threads of one run.
        jobs: maximum number of runs at a time; on a CPU the default is as many as there are cores for.
        runs_per_device: number of runs that share a GPU.
        runs: number of runs in the grid, if known: if there are fewer than cores, each gets more cores.
    """

    def __init__(
        self, options: Options, jobs: int | None = None, runs_per_device: int = 1, runs: int | None = None
    ) -> None:
        require_at_most("--jobs", jobs)
        environments = environments_of_slots(options, jobs, runs_per_device)[:runs]
        self.slots = len(environments)
        threads = options.threads or share_of_cores(self.slots * options.devices)
        self.options = replace(options, threads=threads)
        self.description = f"{self.slots} at a time, {threads_each(threads)}"
        self._slots = [Slot(environment) for environment in environments]
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._waiting = ThreadPoolExecutor(self.slots)
        start_server()  # while the data is prepared

    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """Do the work on each argument in the next free slot."""
        return [self._waiting.submit(self._on_a_free_slot, work, argument) for argument in arguments]

    def _on_a_free_slot(self, work: Work, argument: Any) -> Any:
        slot = self._free.get()
        try:
            return slot.do(work, argument)
        finally:
            self._free.put(slot)

    def close(self, abort: bool) -> None:
        """End the processes; with `abort`, as soon as each has kept the state of its run."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        if abort:
            for process in multiprocessing.active_children():
                process.terminate()
        for slot in self._slots:
            for pool in slot.pools:
                pool.shutdown(wait=not abort, cancel_futures=True)


def environments_of_slots(options: Options, jobs: int | None, runs_per_device: int) -> list[dict[str, str]]:
    """Environment variables of each slot's process: the GPUs that it may see, if there are any.

    Raises:
        UserError: there are fewer GPUs than one run needs.
    """
    check_gpus(options.devices, options.accelerator)
    if options.accelerator != "cpu" and (gpus := visible_gpus()):
        groups = [gpus[begin : begin + options.devices] for begin in range(0, len(gpus), options.devices)]
        named = [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups if len(group) == options.devices]
        return (named * runs_per_device)[:jobs]
    return [{} for _ in range(jobs or max(1, cores() // (options.devices * (options.threads or 1))))]


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process sees, as in CUDA_VISIBLE_DEVICES."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else list(map(str, range(count)))
