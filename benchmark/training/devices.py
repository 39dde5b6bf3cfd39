"""One run on several devices: a process a device, started and watched by torch's elastic agent, as torchrun does."""

import logging
import multiprocessing
import os
import signal
import threading
import uuid
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.plugins.environments import SLURMEnvironment
from torch.distributed import is_torchelastic_launched
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from datamodules.errors import UserError

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
"""That the agent takes over while it watches."""


def started_together() -> bool:
    """Whether this process is one of several of one run, started by `on_devices`, by torchrun or by SLURM's srun."""
    return is_torchelastic_launched() or (int(os.environ.get("SLURM_NTASKS", 1)) > 1 and SLURMEnvironment.detect())


def rank() -> int:
    """Number of this process among those of its run, 0 where it is the only one."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) if started_together() else 0


def check_devices(devices: int, nodes: int, batch_size: int, accelerator: str) -> None:
    """Refuse a number of devices that cannot work.

    Raises:
        UserError: fewer sequences in a batch than devices, fewer GPUs than asked for, nodes without a launcher.
    """
    if batch_size < devices * nodes:
        raise UserError(
            f"a batch has {batch_size} sequences, too few for {devices * nodes} devices; each must have at least one"
        )
    check_gpus(devices, accelerator)
    if nodes > 1 and not started_together():
        raise UserError(
            f"--num-nodes {nodes}: start it on every node, by `srun --nodes {nodes} --ntasks-per-node {devices} rnnreg "
            f"run ...` or by `torchrun --nnodes {nodes} --nproc-per-node {devices} -m benchmark run ...`"
        )


def check_gpus(devices: int, accelerator: str) -> None:
    """Refuse more GPUs than there are.

    Raises:
        UserError: fewer GPUs than asked for; none at all is a mistake where the accelerator is to be one.
    """
    gpus = torch.cuda.device_count()
    if gpus < devices and (gpus or accelerator == "gpu") and accelerator != "cpu":
        raise UserError(f"--devices {devices}: this machine has {gpus} GPUs; --accelerator cpu takes CPU processes")


def on_devices(devices: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in one process a device; return what the first of them returned.

    Args:
        devices: processes, on this machine.
        function: of a module, so that the processes find it by name; it joins them by Lightning's DDP.
        arguments: that can be pickled.

    Raises:
        UserError: a process failed or was killed, in one line; the others are ended.
        KeyboardInterrupt: the user stopped it.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # what the agent has to say is raised below, in one line
            logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        signals_to_handle=",".join(SIGNALS),
    )
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    }
    try:
        return elastic_launch(config, call)(function, *arguments)[0]
    except ChildFailedError as error:
        first, failure = error.get_first_failure()
        # What an exception said, or of a process that could not say anything, how it ended.
        said = failure.message["message"] if isinstance(failure.message, dict) else failure.message
        kind, _, message = said.partition(": ")
        if kind in ("UserError", "DataError"):
            raise UserError(message) from error
        cause = f"was killed ({failure.signal_name()})" if failure.exitcode < 0 else f"failed: {said}"
        raise UserError(
            f"process {first} of {devices} {cause}; the last finished epoch is kept, and the same command goes on"
        ) from error
    except SignalException as error:
        raise KeyboardInterrupt from error
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What each process does: the function, and no more once the process that started it has ended."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes; the one that started them answers it
    return function(*arguments)


def follow_parent() -> None:
    """End with the process that started this one, however that ended, rather than write beside the next one."""

    def follow() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
