"""One run on several devices: a process for each device, started by torch's elastic agent, as by torchrun."""

import logging
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from torch.distributed import is_torchelastic_launched
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from benchmark.files import replacing
from benchmark.formatting import count
from benchmark.training.endings import Interrupted
from benchmark.training.processes import begin, changed_environment, context
from datamodules.errors import UserError
from datamodules.scratch import PREFIX

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that the agent handles while it watches the processes."""
PATIENCE = 3.0
"""Seconds for which a process that failed waits for the agent to see that another was killed."""

Result = TypeVar("Result")


def started_together() -> bool:
    """Whether this process is one of several of one run, started by `on_devices`, by torchrun or by SLURM's srun."""
    return is_torchelastic_launched() or (int(os.environ.get("SLURM_NTASKS", 1)) > 1 and SLURMEnvironment.detect())


def rank() -> int:
    """Number of this process among those of its run, 0 if it is the only one."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0))) if started_together() else 0


def check_devices(devices: int, nodes: int, batch_size: int, accelerator: str) -> None:
    """Refuse a number of devices that cannot work.

    Raises:
        UserError: a batch has fewer sequences than there are devices, there are fewer GPUs than asked for, or several
            nodes were asked for without a launcher that starts the run on each.
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
    """Refuse more GPUs than this machine has.

    Raises:
        UserError: there are fewer GPUs than asked for; having none at all is a mistake only for `--accelerator gpu`.
    """
    gpus = torch.cuda.device_count()
    if gpus < devices and (gpus or accelerator == "gpu") and accelerator != "cpu":
        raise UserError(
            f"--devices {devices}: this machine has {count(gpus, 'GPU')}; --accelerator cpu takes CPU processes"
        )


def on_devices(devices: int, function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in one process for each device; return what the first of them returned.

    Args:
        devices: number of processes on this machine.
        function: a module's function, so that the processes find it by name; it joins them by Lightning's DDP.
        arguments: arguments of the function, which must be picklable.

    Raises:
        UserError: the function raised it in a process, and it arrives here as the same class; or a process failed
            otherwise or was killed. The other processes are ended.
        Interrupted: a signal came; the processes have been given time to keep their state.
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
        start_method=context().get_start_method(),
        signals_to_handle=",".join(number.name for number in SIGNALS),
    )
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        errors = Path(folder)
        try:
            results: dict[int, Result] = elastic_launch(config, call)(
                errors, changed_environment(), function, *arguments
            )
            return results[0]
        except ChildFailedError as error:
            raise cause(error, kept_errors(errors), devices) from error
        except SignalException as error:
            raise Interrupted("interrupted; rerun the same command to resume", error.sigval) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():
                    signal.signal(number, handler)


def call(errors: Path, environment: Mapping[str, str], function: Callable[..., Result], *arguments: object) -> Result:
    """Call the function in one of the processes; leave a UserError in a file, since the agent carries only text."""
    begin(environment)
    follow_parent()
    try:
        return function(*arguments)
    except (UserError, Interrupted) as error:
        with replacing(errors / str(rank()), lasting=False) as scratch:
            scratch.write_bytes(pickle.dumps(error))
        if isinstance(error, Interrupted):
            raise SystemExit(error.exit_code) from error  # without a traceback
        raise
    except Exception:
        give_way()
        raise


def give_way() -> None:
    """Let the agent see another process's death first, which is the likely reason for an error of this process.

    A process that is killed closes its connections, and the others fail in their next exchange of gradients, within
    the tenth of a second between two looks of the agent. It ends them when it has seen the death; nobody ends a process
    that failed by itself.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(PATIENCE)


def kept_errors(errors: Path) -> list[UserError | Interrupted]:
    """What the processes left in files when they ended, in the order of their ranks."""
    paths = sorted(errors.glob("[0-9]*"), key=lambda path: int(path.name))
    return [pickle.loads(path.read_bytes()) for path in paths]  # written by this run's own processes, above


def cause(error: ChildFailedError, kept: list[UserError | Interrupted], devices: int) -> UserError | Interrupted:
    """Why the run ended: a mistake of the user, else a process that was killed, else a signal, else a failure.

    A signal comes after a death: the agent sends SIGTERM to the processes that outlive another.
    """
    mistakes = [error for error in kept if isinstance(error, UserError)]
    first, failure = error.get_first_failure()
    killed = failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM
    if mistakes or (kept and not killed):
        return (mistakes or kept)[0]
    message = failure.message["message"] if isinstance(failure.message, dict) else failure.message
    ending = f"was killed ({failure.signal_name()})" if failure.exitcode < 0 else f"failed: {message}"
    return UserError(
        f"process {first} of {devices} {ending}; its last checkpoint is kept; rerun the same command to resume"
    )


def follow_parent() -> None:
    """End with the process that started this one, however that ended, rather than write beside the next one."""

    def follow() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
