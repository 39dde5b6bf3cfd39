"""How processes of this machine are started: forked from a server that has imported everything once."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

import torch

_environment_of_server: dict[str, str] = {}


def context() -> BaseContext:
    """The context of new processes, each of which calls `begin` first.

    They are forked from a server, or where there are GPUs import everything anew, which costs each of them 5 seconds.
    The server has no threads and no GPU, so forking it is safe. With GPUs each process is told which it may see before
    its first import, since a library may look for them as it is imported.
    """
    found = multiprocessing.get_context("spawn" if torch.cuda.device_count() else "forkserver")
    found.set_forkserver_preload(["benchmark.training.preloaded"])
    if not _environment_of_server:
        _environment_of_server.update(os.environ)
    return found


def start_server() -> None:
    """Start the server that processes are forked from, if they are, so that it imports while this process goes on."""
    if context().get_start_method() == "forkserver":
        forkserver.ensure_running()


def changed_environment() -> dict[str, str]:
    """The environment variables that have been set since the server was started, whose environment a fork has."""
    return {name: value for name, value in os.environ.items() if _environment_of_server.get(name) != value}


def begin(environment: Mapping[str, str]) -> None:
    """Take up variables of the parent's environment, and let SIGTERM end this process, which the server ignores."""
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
