"""Grids on SLURM, with faults: the store always ends with the records of an undisturbed grid."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.grids import ROOT, Grid

from benchmark.store.records import Store

SLURM = Path(__file__).with_name("slurm.sh")


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install -e '.[slurm]'")
    if not shutil.which("sbatch"):
        pytest.skip("SLURM is not installed: `tests/system/slurm.sh start`, as root, makes a cluster of this machine")
    runs = subprocess.run(["sinfo"], capture_output=True).returncode == 0
    if not runs:
        started = subprocess.run(["bash", str(SLURM), "start"], capture_output=True, text=True)
        if started.returncode:
            pytest.skip(f"SLURM does not run here: {started.stderr.strip()}")
    yield
    if not runs:
        subprocess.run(["bash", str(SLURM), "stop"], check=True)


def jobs() -> list[str]:
    """Give the ids of the user's jobs that run."""
    command = ["squeue", "--me", "--states=running", "--array", "--noheader", "--format=%i"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def wait_for_jobs(driver: "subprocess.Popen[str]") -> None:
    """Wait until a job runs, long before its Python has imported torch."""
    for _ in range(15000):
        if jobs():
            return
        assert driver.poll() is None, driver.communicate()[0]
        time.sleep(0.02)  # the state of another process: there is nothing to wait on
    raise AssertionError("no job was started")


JOBS = ("--launcher", "slurm", "--slurm", '{"timeout_min": 30}')


def test_a_killed_job_of_slurm_costs_nothing(pair, undisturbed_pair, slurm) -> None:
    pair.fate("kill")
    printed = pair.run(*JOBS)
    assert "2 runs, as jobs of SLURM, 1 CPU thread each" in printed
    assert pair.begun == 3
    assert pair.results == undisturbed_pair


def test_srun_makes_one_run_of_its_tasks(grid, undisturbed, slurm) -> None:
    words = ["run", "tiny", "--devices", 2, "--rows-file", grid.folder / "fated_rows.py", "--store", grid.store]
    words += ["--wandb", "off", "--accelerator", "cpu", "--threads", 1]
    command = ["srun", "--ntasks-per-node", "2", sys.executable, "-m", "benchmark", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("record: ") == 1
    record = next(Store(grid.store).records())
    assert re.fullmatch("2 x CPU .*, 1 thread", record.device)
    assert record.metrics == pytest.approx(undisturbed[("tiny", 1)][0], rel=1e-5)


def training(grid: Grid) -> "subprocess.Popen[str]":
    """Start a grid on SLURM; give its driver when one of its jobs has trained an epoch."""
    driver = grid.start(*JOBS)
    grid.wait_for_progress(driver)
    return driver


def end_of(driver: "subprocess.Popen[str]") -> str:
    """Wait for the end of a driver, and give what it printed."""
    printed = driver.communicate(timeout=300)[0]
    assert driver.returncode == 0, printed
    return printed


def on_jobs(*command: str) -> None:
    """Do something to every job; again if all of them are changing their state, in which SLURM leaves them alone."""
    for _ in range(500):
        done = [subprocess.run([*command, one], capture_output=True, text=True) for one in jobs()]
        if any(each.returncode == 0 for each in done):
            return
        time.sleep(0.1)  # the state of other processes, which the gate keeps from ending
    raise AssertionError(f"no job could be met: {[each.stderr for each in done]}")


def take_the_node() -> None:
    """Run a job that preempts all others."""
    urgent = ["srun", "--partition=high", "--exclusive", "--immediate=120", "true"]
    subprocess.run(urgent, check=True, timeout=120)


def test_a_requeued_job_goes_on_from_its_checkpoint(single, undisturbed_single, slurm) -> None:
    with single.held():
        driver = training(single)
        on_jobs("scontrol", "requeue")
    printed = end_of(driver)
    assert "FAILED" not in printed  # SLURM may lose a job that it requeues while it starts it; that one is tried again
    assert single.begun > 1
    assert single.results == undisturbed_single


def test_a_signalled_job_is_queued_again(single, undisturbed_single, slurm) -> None:
    """By the signal that submitit has SLURM send before a job's time is up."""
    with single.held():
        driver = training(single)
        on_jobs("scancel", "--signal=USR2")
    printed = end_of(driver)
    assert "FAILED" not in printed
    assert single.begun > 1
    assert single.results == undisturbed_single


@pytest.mark.parametrize("starting", [False, True], ids=["training", "starting"])
def test_a_job_that_a_higher_partition_preempts_goes_on_after_it(single, undisturbed_single, slurm, starting) -> None:
    partitions = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=True)
    if "high" not in partitions.stdout.split():
        pytest.skip("this cluster has no partition 'high' that preempts; tests/system/slurm.sh makes one with it")
    if starting:
        driver = single.start(*JOBS)
        wait_for_jobs(driver)
    else:
        driver = training(single)
    take_the_node()
    printed = end_of(driver)
    assert "FAILED" not in printed
    assert "trying again" not in printed  # it is SLURM that does
    assert single.begun > 1 or starting
    assert single.results == undisturbed_single


def test_jobs_outlive_a_killed_driver_and_the_next_one_finds_them(single, undisturbed_single, slurm) -> None:
    driver = training(single)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    single.run("--jobs", 1)
    assert single.begun == 1
    assert single.results == undisturbed_single
