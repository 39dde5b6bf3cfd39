"""Runs as jobs of SLURM."""

import shlex
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from benchmark.grid.launchers.base import Launcher, Work, WorkerDied, threads_each
from benchmark.training.options import Options
from datamodules.errors import UserError

POLL_SECONDS = 2.0
LOOKS = 3
"""Number of looks in a row that must find a job ended before its result counts as lost, since the file systems of
clusters show new files late."""

ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"),
    "PREEMPTED",  # by a cluster that cancels preempted jobs; one that is queued again is PENDING
    "GONE",  # unknown to SLURM
}
"""States of jobs that will not run again."""


class Requeueable:
    """A call that SLURM may stop and queue again: a run resumes from its checkpoint, so it is the same call again."""

    def __init__(self, work: Work, argument: Any) -> None:
        self.work, self.argument = work, argument

    def __call__(self) -> Any:
        """Make the call."""
        return self.work(self.argument)

    def checkpoint(self) -> Any:
        """Tell submitit which call to queue when SLURM is about to stop the job."""
        import submitit

        # SLURM ends the job as soon as `scontrol requeue` has asked it to, and that command with it: unless it inherits
        # this, submitit often takes its death for a failure of the run.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return submitit.helpers.DelayedSubmission(self)


class Slurm(Launcher):
    """Jobs of a SLURM array, submitted through submitit; their logs are in STORE/.slurm.

    The jobs of a driver that is killed go on; the next driver finds their locks, and then their records.

    Args:
        options: devices and threads of one run.
        jobs: maximum number of jobs that run at a time.
        parameters: parameters of the jobs in the names of submitit's AutoExecutor, such as timeout_min.
    """

    def __init__(self, options: Options, jobs: int | None, parameters: Mapping[str, Any]) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UserError("--launcher slurm needs submitit: pip install -e '.[slurm]'") from error
        threads = options.threads or 1
        self.options, self.slots = replace(options, threads=threads), jobs
        self.description = f"as jobs of SLURM, {threads_each(threads)}"
        self._logs = options.store.resolve() / ".slurm"
        python = python_deaf_to("TERM", submitit.JobEnvironment.USR_SIG)
        try:
            self._executor = submitit.AutoExecutor(folder=self._logs / "%A", cluster="slurm", slurm_python=python)
            defaults = {
                "name": "rnnreg",
                "cpus_per_task": threads * options.devices,
                "timeout_min": 24 * 60,
                **({"slurm_array_parallelism": jobs} if jobs else {}),
            }
            self._executor.update_parameters(**{**defaults, **parameters})
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise UserError(f"--launcher slurm: {error}") from error
        self._open: dict[Future[Any], Any] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        """Submit a job for each argument."""
        import submitit

        try:
            with self._executor.batch():
                jobs = [self._executor.submit(Requeueable(work, argument)) for argument in arguments]
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"--launcher slurm: {error}") from error
        futures = [Future[Any]() for _ in jobs]
        self._open.update(zip(futures, jobs, strict=True))
        return futures

    def _watch(self) -> None:
        """Hand over results as they come.

        submitit asks SLURM's accounting for states, which not every cluster keeps; the queue knows them as well.
        """
        ended: Counter[str] = Counter()
        while not self._closed.wait(POLL_SECONDS):
            states = queued_states()
            for future, job in list(self._open.items()):
                if job.paths.result_pickle.exists():
                    del self._open[future]
                    _hand_over(job, future)
                elif states is not None:
                    over = states.get(job.job_id, "GONE") in ENDED
                    ended[job.job_id] = ended[job.job_id] + 1 if over else 0
                    if ended[job.job_id] == LOOKS:
                        del self._open[future]
                        future.set_exception(WorkerDied(f"its job {job.job_id} ended early (see {job.paths.stderr})"))

    def close(self, abort: bool) -> None:
        """Stop watching the jobs; with `abort`, cancel them."""
        self._closed.set()
        for job in self._open.values() if abort else ():
            job.cancel(check=False)


def python_deaf_to(*signals: str) -> str:
    """This Python as a command of a shell that ignores signals until the program sets its own handlers.

    A job that SLURM preempts while Python and torch are still being imported would die of the signal before submitit
    handles it. SLURM would list such a job as failed, and not queue it again. A job that ignores the signal runs on
    until SLURM itself stops it and puts it back into the queue.
    """
    ignore = f"trap '' {' '.join(signals)}; exec \"$@\""
    return shlex.join(["sh", "-c", ignore, "sh", sys.executable])


def _hand_over(job: Any, future: Future[Any]) -> None:
    try:
        future.set_result(job.result())
    except Exception as error:  # raised by the work, or by submitit reading its result
        future.set_exception(error)


def queued_states() -> dict[str, str] | None:
    """State of each of the user's jobs that SLURM remembers, by id; None while SLURM does not answer."""
    command = ["squeue", "--me", "--states=all", "--array", "--noheader", "--format=%i|%T"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.strip().split("|") for line in listed.splitlines())
