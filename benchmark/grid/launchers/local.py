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
from benchmark.training.options import Options
from datamodules.cache import cores


@dataclass(frozen=True)
class Slot:
    """A share of this machine that does one run at a time, in a process that is kept for the next."""

    environment: Mapping[str, str]
    pools: list[ProcessPoolExecutor] = field(default_factory=list)
    """The one of a single process; none before the first run, and after a process has died."""

    def do(self, work: Work, argument: Any) -> Any:
        """Do the work in this slot's process.

        Raises:
            WorkerDied: the process ended.
        """
        if not self.pools:
            self.pools.append(self._start())
        try:
            return self.pools[0].submit(work, argument).result()
        except BrokenProcessPool as error:
            self.pools.clear()
            raise WorkerDied("its process was killed (out of memory?)") from error

    def _start(self) -> ProcessPoolExecutor:
        """Begin the process, in its environment from the first: a library may look at the GPUs when it is imported."""
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start_worker)
        with _starting:
            before = {name: os.environ.get(name) for name in self.environment}
            os.environ.update(self.environment)
            try:
                pool.submit(os.getpid)  # begins it
            finally:
                for name, value in before.items():
                    os.environ.pop(name) if value is None else os.environ.update({name: value})
        return pool


_starting = threading.Lock()
"""One process of a grid begins at a time, as the environment it takes along is this process's."""


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    follow_parent()


class Local(Launcher):
    """This machine: a slot for each GPU, or each group of GPUs or CPU cores; a free one takes the next run.

    Args:
        options: devices of one run, its threads.
        jobs: runs at a time; if not given, on a CPU as many as there are cores for.
        runs_per_device: runs that share a GPU.
        runs: of the grid, where that is known: fewer than there are cores have more of them each.
    """

    def __init__(
        self, options: Options, jobs: int | None = None, runs_per_device: int = 1, runs: int | None = None
    ) -> None:
        check_gpus(options.devices, options.accelerator)
        gpus = visible_gpus() if options.accelerator != "cpu" else []
        if gpus:
            groups = [gpus[begin : begin + options.devices] for begin in range(0, len(gpus), options.devices)]
            named = [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups if len(group) == options.devices]
            environments = (named * runs_per_device)[:jobs]
        else:
            environments = [{}] * (jobs or max(1, cores() // (options.devices * (options.threads or 1))))
        environments = environments[:runs]
        self.slots = len(environments)
        threads = options.threads or max(1, cores() // (self.slots * options.devices))
        self.options = replace(options, threads=threads)
        self.description = f"{self.slots} at a time, {threads_each(threads)}"
        self._slots = [Slot(environment) for environment in environments]
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._waiting = ThreadPoolExecutor(self.slots)

    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """See Launcher."""
        return [self._waiting.submit(self._on_a_free_slot, work, argument) for argument in arguments]

    def _on_a_free_slot(self, work: Work, argument: Any) -> Any:
        slot = self._free.get()
        try:
            return slot.do(work, argument)
        finally:
            self._free.put(slot)

    def close(self, abort: bool) -> None:
        """See Launcher."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        if abort:
            for process in multiprocessing.active_children():
                process.terminate()
        for slot in self._slots:
            for pool in slot.pools:
                pool.shutdown(wait=not abort, cancel_futures=True)


def visible_gpus() -> list[str]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else list(map(str, range(count)))
