"""Signals: raised between steps of work, noted within it, and left to others who handle them."""

import os
import pickle
import shutil
import signal
from pathlib import Path

import pytest

from benchmark.training.endings import Interrupted, complete_environment, noted, signals_raised


@pytest.fixture(autouse=True)
def _handlers_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_between_steps_is_raised(number, code) -> None:
    with pytest.raises(Interrupted) as stop, signals_raised():
        os.kill(os.getpid(), number)
    assert stop.value.exit_code == code
    assert pickle.loads(pickle.dumps(stop.value)).number == number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_within_a_step_is_noted_and_the_second_one_is_raised(number) -> None:
    with signals_raised(), noted() as request:
        assert request.number == 0
        os.kill(os.getpid(), number)
        assert request.number == number
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)
    with noted(insist=False) as request:  # as of a process that gets each signal twice
        for _ in range(3):
            os.kill(os.getpid(), number)
    assert request.number == number


def test_signals_that_others_handle_or_ignore_are_left_to_them() -> None:
    """Such as SIGHUP under nohup, and SIGTERM in a job of SLURM."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_raised(), noted() as request:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        assert (request.number, seen) == (0, [signal.SIGTERM])
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, ignored)


def test_a_user_without_a_name_or_a_home_gets_both(monkeypatch) -> None:
    def unknown(*_):
        raise KeyError("uid not found")

    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")  # so that it is as before in the end
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    complete_environment()
    assert Path(os.environ["HOME"]).is_dir()
    shutil.rmtree(os.environ["HOME"])
    assert os.environ["LOGNAME"] == str(os.getuid())
