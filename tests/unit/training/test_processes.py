"""New processes: what they inherit, and that the server that they are forked from outlives them."""

import os
import signal
import sys
from multiprocessing import forkserver

from benchmark.training.processes import begin, changed_environment, context


def wait_and_tell(environment, may_end, told) -> None:
    """In a new process: tell what it has imported and inherited, wait, and end with a code."""
    loaded = "benchmark.training.train" in sys.modules
    begin(environment)
    told.put((loaded, os.environ.get("SET_LATER"), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL))
    may_end.wait()
    sys.exit(3)


def test_a_process_has_everything_imported_and_the_environment_of_now(monkeypatch) -> None:
    processes = context()
    may_end, told = processes.Event(), processes.SimpleQueue()
    processes.Process(target=os.getpid).start()  # the server has the environment of before
    monkeypatch.setenv("SET_LATER", "yes")
    process = processes.Process(target=wait_and_tell, args=(changed_environment(), may_end, told))
    process.start()
    assert told.get() == (True, "yes", True)
    server = forkserver._forkserver._forkserver_pid
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # as when all processes of a job get a signal
        os.kill(server, number)
    may_end.set()
    process.join()
    assert process.exitcode == 3  # which only the server can know
