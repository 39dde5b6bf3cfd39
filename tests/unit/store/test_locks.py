"""Locks on runs, and the progress that is reported beside them."""

import os

import pytest

from benchmark.store.locks import UNDER_WAY, RunLock, RunLocked
from datamodules.errors import UserError


def test_a_run_is_locked_once_and_its_progress_is_there_for_all(tmp_path) -> None:
    lock = RunLock(tmp_path, "tiny", 1, "abcdef0123")
    assert not lock.is_held
    assert lock.progress == (0, 0)
    with lock.held():
        lock.report_progress(3, 13)
        assert lock.is_held
        assert RunLock(tmp_path, "tiny", 1, "abcdef0123").progress == (3, 13)
        with pytest.raises(RunLocked, match=rf"tiny seed 1 is being trained by process {os.getpid()} on "):
            RunLock(tmp_path, "tiny", 1, "abcdef0123").held().__enter__()
        with RunLock(tmp_path, "tiny", 2, "abcdef0123").held():
            pass  # another run is free
    assert not lock.is_held
    assert lock.progress == (3, 13)  # of a run that was stopped, which goes on from there
    lock.report_progress(3.7, 13)
    assert lock.progress == (3.7, 13)
    assert lock.fraction_kept == 3 / 13
    lock.report_progress(3.8, 13, kept=3.75)
    lock.report_progress(3.9, 13)
    assert lock.fraction_kept == 3.75 / 13
    lock.clear_progress()
    assert lock.progress == (0, 0)


@pytest.mark.parametrize("figure", ["9" * 400, "-1", "NaN", "4", '"2"'])
def test_a_report_that_no_run_writes_is_none(tmp_path, figure) -> None:
    lock = RunLock(tmp_path, "tiny", 1, "abcdef0123")
    with lock.held():
        lock.report_progress(2, 3)
    assert lock.progress == (2, 3)
    (report,) = (tmp_path / UNDER_WAY).glob("*.json")
    report.write_text(report.read_text().replace('"epoch": 2', f'"epoch": {figure}'))
    assert lock.progress == (0, 0)
    assert lock.fraction_kept == 0


def test_a_lock_in_a_folder_that_cannot_be_is_said_in_one_line(tmp_path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot write to .*file/runs: "),
        RunLock(tmp_path / "file/runs", "r", 1, "f").held(),
    ):
        pass
