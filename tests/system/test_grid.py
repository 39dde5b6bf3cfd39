"""Grids on this machine and on Ray, with faults: the store always ends with the records of an undisturbed grid."""

import re
import subprocess
from pathlib import Path

import pytest

from benchmark.store.records import Store


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
    grid.assert_nothing_is_locked()


def test_two_drivers_on_one_store_do_each_run_once(grid, undisturbed) -> None:
    both_do_each_run_once(grid, undisturbed, "local")


def test_a_driver_of_ray_beside_a_local_one_does_each_run_once(pair, undisturbed_pair) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    both_do_each_run_once(pair, undisturbed_pair, "ray")


def both_do_each_run_once(grid, undisturbed, second: str) -> None:
    drivers = [grid.start("--jobs", 2), grid.start("--jobs", 2, "--launcher", second)]
    printed = [driver.communicate(timeout=900)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], printed
    assert grid.begun == len(undisturbed)
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
    grid.rows, grid.seeds = "tiny", 1
    grid.run("--devices", 2)
    (metrics, *_), (expected, *_) = grid.results[("tiny", 1)], undisturbed[("tiny", 1)]
    assert metrics == pytest.approx(expected, rel=1e-5)
    assert next(Store(grid.store).records()).device.startswith("2 x CPU")


def test_a_killed_worker_of_ray_costs_nothing(pair, undisturbed_pair) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    pair.fate("kill")
    printed = pair.run("--launcher", "ray", "--jobs", 2)
    assert "2 runs, 2 at a time on Ray, 1 CPU thread each" in printed
    assert pair.begun == 3
    assert pair.results == undisturbed_pair
