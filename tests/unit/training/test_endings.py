"""Signals: raised between steps of work, noted within it, and left to others who handle them."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.training.endings import Interrupted, complete_environment, noted, runs_kept, signals_raised


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


def test_a_machine_on_which_nothing_can_be_written_has_no_home_and_no_traceback(monkeypatch) -> None:
    def unwritable(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setattr("tempfile.mkdtemp", unwritable)
    complete_environment()
    assert os.environ["HOME"] == "/nowhere"


def test_a_closed_stream_leads_nowhere_and_no_file_takes_its_place(tmp_path: Path) -> None:
    """Else what is printed would be written into the first files that are opened."""
    code = (
        "import sys; from benchmark.training.endings import open_streams; open_streams()\n"
        "with open(sys.argv[1], 'w') as file:\n"
        "    print('out', flush=True); print('err', file=sys.stderr, flush=True); file.write('own')\n"
        "    sys.exit(file.fileno() if sys.stdin is None else 0)"
    )
    path = tmp_path / "file"
    words = ["sh", "-c", 'exec "$0" -c "$1" "$2" <&- >&- 2>&-', sys.executable, code, str(path)]
    done = subprocess.run(words, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
    assert path.read_text() == "own"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Interrupted(number=signal.SIGTERM)])
def test_a_grid_that_a_signal_ends_says_what_is_kept_and_keeps_the_exit_code(stop: BaseException) -> None:
    with pytest.raises(Interrupted, match="finished runs and the state of the others are kept") as stopped, runs_kept():
        raise stop
    assert stopped.value.exit_code == Interrupted.of(stop).exit_code
    assert str(Interrupted(number=signal.SIGTERM)) == "interrupted"  # of a command that trains nothing
