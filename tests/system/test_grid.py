"""Grids on every launcher, with faults: whatever happens, the store ends with the records of an undisturbed grid."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.corpora import write_text
from support.factories import TINY

from benchmark.store.locks import RunLock
from benchmark.store.records import Record, Store

ROOT = Path(__file__).parents[2]
SLURM = Path(__file__).with_name("slurm.sh")

ROWS_FILE = """
import os
import signal
from dataclasses import replace
from pathlib import Path

from benchmark.tasks import language_modeling
from models.backbone import RegularizedLSTM


class Fated(RegularizedLSTM):
    '''Notes each training that begins, and meets a fate in its 60th step where one is waiting, once.'''

    steps = 0

    def forward(self, inputs, state=None):
        self.steps += self.training
        here = Path(__file__).parent
        if self.steps == 1 and self.training:
            with (here / "begun").open("a") as file:
                file.write(f"{os.getpid()}\\n")
        if self.steps == 60 and self.training:
            for fate in sorted(here.glob("fate-*")):
                try:
                    fate.unlink()
                except FileNotFoundError:
                    continue  # another process met it
                if fate.name == "fate-kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError("met a fate")
        return super().forward(inputs, state)


TINY = language_modeling.PTB_SMALL.variant("tiny", source=TEXT, backbone=f"{__name__}.Fated", **OVERRIDES)
ROWS = [TINY, TINY.variant("tiny-dropout", dropout=0.2)]
"""


class Grid:
    """Two rows of two seeds, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, folder / "runs"
        folder.mkdir()
        overrides = {**TINY, "epochs": 6, "flat_epochs": 4}
        code = ROWS_FILE.replace("TEXT", repr(str(folder.parent / "text"))).replace("**OVERRIDES", f"**{overrides!r}")
        (folder / "fated_rows.py").write_text(code)

    def command(self, *words: object) -> list[str]:
        common = ["--only", "tiny,tiny-dropout", "--seeds", 2, "--rows-file", self.folder / "fated_rows.py"]
        where = ["--store", self.store, "--wandb", "off", "--accelerator", "cpu", "--threads", 1]
        return [sys.executable, "-m", "benchmark", "reproduce", *map(str, (*common, *where, *words))]

    def start(self, *words: object) -> "subprocess.Popen[str]":
        """Begin a driver."""
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(self.command(*words), cwd=ROOT, **pipes)

    def run(self, *words: object, code: int = 0) -> str:
        """Run a driver to its end; gives what it printed."""
        driver = self.start(*words)
        printed = driver.communicate(timeout=300)[0]
        assert driver.returncode == code, printed
        return printed

    def fate(self, name: str) -> None:
        (self.folder / f"fate-{name}").touch()

    @property
    def begun(self) -> int:
        """Trainings that were begun, resumed ones again."""
        return len((self.folder / "begun").read_text().splitlines())

    def wait_for_progress(self, driver: "subprocess.Popen[str]") -> None:
        """Until a run has finished its first epoch."""
        for _ in range(3000):
            if any(json.loads(path.read_text())["epoch"] >= 1 for path in self.store.glob(".under-way/*.json")):
                return
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.02)  # the state of another process: there is nothing to wait on
        raise AssertionError("no run got anywhere")

    @property
    def results(self) -> dict[tuple[str, int], tuple]:
        """All of the records that does not depend on time and place."""
        return {(record.row, record.seed): self._content(record) for record in Store(self.store).records()}

    @staticmethod
    def _content(record: Record) -> tuple:
        timing = {"seconds", "throughput"}
        curve = [{name: value for name, value in epoch.items() if name not in timing} for epoch in record.curve]
        return record.metrics, curve, record.log_probabilities_sha256, record.fingerprint, record.data_sha256

    def assert_nothing_is_claimed(self) -> None:
        for path in (self.store / ".under-way").glob("*.lock"):
            row, seed, fingerprint = re.fullmatch(r"(.+)-seed-(\d+)-(\w{8})\.lock", path.name).groups()
            assert not RunLock(self.store, row, int(seed), fingerprint).is_held


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grids")
    write_text(folder / "text")
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> dict[tuple[str, int], tuple]:
    grid = Grid(folder / "undisturbed")
    printed = grid.run("--jobs", 2)
    assert "4 runs, 2 at a time, 1 CPU thread each" in printed
    assert grid.begun == 4
    results = grid.results
    assert set(results) == {(row, seed) for row in ("tiny", "tiny-dropout") for seed in (1, 2)}
    assert len({str(metrics) for metrics, *_ in results.values()}) == 4
    return results


@pytest.fixture
def grid(folder: Path, undisturbed, request: pytest.FixtureRequest) -> Grid:
    return Grid(folder / re.sub(r"\W", "_", request.node.name))


def test_a_killed_worker_costs_nothing(grid, undisturbed) -> None:
    grid.fate("kill")
    printed = grid.run("--jobs", 2)
    assert re.search(
        r"^tiny.* seed \d: its process was killed \(out of memory\?\); trying again, 1 of 1$", printed, re.M
    )
    assert grid.begun == 5
    assert grid.results == undisturbed


def test_a_run_that_keeps_failing_is_listed_with_its_log_and_the_others_go_on(grid, undisturbed) -> None:
    for number in range(5):  # one for each run, and one more for the first that tries again
        grid.fate(f"raise-{number}")
    printed = grid.run("--jobs", 1, "--retries", 1, code=1)
    failed = re.search(r"FAILED: RuntimeError: met a fate \(see (.+\.error\.log)\)", printed)
    assert "1 of 4 runs failed, the others are kept" in printed
    assert "in forward" in Path(failed[1]).read_text()
    assert len(grid.results) == 3
    grid.run("--jobs", 1)
    assert grid.results == undisturbed


def test_a_killed_driver_takes_its_workers_along_and_the_next_one_goes_on(grid, undisturbed) -> None:
    driver = grid.start("--jobs", 2)
    grid.wait_for_progress(driver)
    driver.kill()
    driver.communicate()
    assert len(grid.results) < 4
    printed = grid.run("--jobs", 2)
    assert "waiting for it" not in printed or len(grid.results) == 4  # its workers may take a moment to end
    assert grid.results == undisturbed
    grid.assert_nothing_is_claimed()


@pytest.mark.parametrize("second", ["local", "ray"])
def test_two_drivers_on_one_store_do_each_run_once(grid, undisturbed, second) -> None:
    drivers = [grid.start("--jobs", 2), grid.start("--jobs", 2, "--launcher", second)]
    printed = [driver.communicate(timeout=300)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], printed
    assert grid.begun == 4
    assert grid.results == undisturbed


def test_a_full_disk_under_one_run_costs_that_run_only_and_is_made_good_by_the_next_grid(grid, undisturbed) -> None:
    small = grid.store / "tiny-dropout"
    small.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a full disk is a small tmpfs, which only root can mount: {mounted.stderr.decode().strip()}")
    try:
        printed = grid.run("--jobs", 2, code=1)
        assert "No space left on device" in printed
        assert "2 of 4 runs failed, the others are kept" in printed
        assert set(grid.results) == {("tiny", 1), ("tiny", 2)}
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        grid.run("--jobs", 2)
        assert grid.results == undisturbed
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_run_of_a_grid_takes_several_devices(grid, undisturbed) -> None:
    grid.run("--devices", 2, "--only", "tiny", "--seeds", 1)
    (metrics, *_), (expected, *_) = grid.results[("tiny", 1)], undisturbed[("tiny", 1)]
    assert metrics == pytest.approx(expected, rel=1e-5)
    assert next(Store(grid.store).records()).device.startswith("2 x CPU")


@pytest.mark.parametrize("fate", ["", "kill"])
def test_ray(grid, undisturbed, fate) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'rnnreg[ray]'")
    if fate:
        grid.fate(fate)
    printed = grid.run("--launcher", "ray", "--jobs", 2)
    assert "4 runs, 2 at a time on Ray, 1 CPU thread each" in printed
    assert grid.begun == 4 + bool(fate)
    assert grid.results == undisturbed


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'rnnreg[slurm]'")
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
    """Ids of the user's jobs that run."""
    command = ["squeue", "--me", "--states=running", "--array", "--noheader", "--format=%i"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


JOBS = ("--launcher", "slurm", "--slurm", '{"timeout_min": 30}')


@pytest.mark.parametrize("fate", ["", "kill"])
def test_slurm(grid, undisturbed, slurm, fate) -> None:
    if fate:
        grid.fate(fate)
    printed = grid.run(*JOBS)
    assert "4 runs, as jobs of SLURM, 1 CPU thread each" in printed
    assert grid.begun == 4 + bool(fate)
    assert grid.results == undisturbed


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


def in_the_middle(grid: Grid, do: Callable[[], None]) -> str:
    """What a grid on SLURM prints to which something happens while its jobs run."""
    driver = grid.start(*JOBS)
    grid.wait_for_progress(driver)
    do()
    printed = driver.communicate(timeout=300)[0]
    assert driver.returncode == 0, printed
    return printed


def on_jobs(*command: str) -> None:
    """Do something to every job."""
    met = [subprocess.run([*command, one], capture_output=True).returncode for one in jobs()]
    assert 0 in met, "no job was there any more"


def take_the_node() -> None:
    """What runs there must give way first."""
    urgent = ["srun", "--partition=high", "--exclusive", "--immediate=60", "true"]
    subprocess.run(urgent, check=True, timeout=120)


def test_a_requeued_job_goes_on_from_its_checkpoint(grid, undisturbed, slurm) -> None:
    printed = in_the_middle(grid, lambda: on_jobs("scontrol", "requeue"))
    assert "trying again" not in printed  # it is SLURM that does
    assert grid.begun > 4
    assert grid.results == undisturbed


def test_a_signalled_job_is_queued_again(grid, undisturbed, slurm) -> None:
    """By the signal that submitit has SLURM send before a job's time is up."""
    printed = in_the_middle(grid, lambda: on_jobs("scancel", "--signal=USR2"))
    assert "FAILED" not in printed
    assert grid.begun > 4
    assert grid.results == undisturbed


def test_a_job_that_a_higher_partition_preempts_goes_on_after_it(grid, undisturbed, slurm) -> None:
    partitions = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=True)
    if "high" not in partitions.stdout.split():
        pytest.skip("this cluster has no partition 'high' that preempts; tests/system/slurm.sh makes one with it")
    printed = in_the_middle(grid, take_the_node)
    assert "FAILED" not in printed
    assert "trying again" not in printed  # it is SLURM that does
    assert grid.begun > 4
    assert grid.results == undisturbed


def test_jobs_outlive_a_killed_driver_and_the_next_one_finds_them(grid, undisturbed, slurm) -> None:
    driver = grid.start(*JOBS)
    grid.wait_for_progress(driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    grid.run("--jobs", 1)
    assert grid.begun == 4
    assert grid.results == undisturbed
