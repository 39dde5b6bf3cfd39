"""The progress that a grid shows."""

from benchmark.grid.progress import View
from benchmark.store.locks import RunLock


def test_the_view_shows_the_progress_of_all_and_the_time_left(tmp_path, monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.grid.progress.time.perf_counter", lambda: now[0])
    locks = {name: RunLock(tmp_path, name, 1, "abcdef0123") for name in "abc"}
    with locks["c"].held():
        locks["c"].report_progress(2, 4)  # half of it was done by an earlier grid
    view = View({name: (float(work), locks[name]) for name, work in zip("abc", (100, 200, 100), strict=True)})
    assert view.remaining() == "ETA unknown"
    locks["a"].report_progress(1, 2)
    now[0] = 10.0
    view.update()
    assert view.remaining() == "ETA 60 s"  # 50 of 350 done in 10 s
    locks["c"].report_progress(3, 4)
    view.finished("a", "perplexity 80", 12.0)
    now[0] = 25.0
    view.update()
    assert view.remaining() == "ETA 45 s"  # 125 of 350 done in 25 s
    view.failed("b", "no luck")
    view.finished("c", "perplexity 90", 12.0)
    assert view.failures == ["b: no luck"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "[1/3] a: perplexity 80, 12 s; ETA 25 s"
    assert printed[1] == "[2/3] b: FAILED: no luck; ETA 5 s"
    assert printed[2] == "[3/3] c: perplexity 90, 12 s; all done"


def test_an_epoch_that_a_stopped_run_begins_again_is_not_counted_as_done_now(tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.grid.progress.time.perf_counter", lambda: now[0])
    lock = RunLock(tmp_path, "a", 1, "abcdef0123")
    with lock.held():
        lock.report_progress(1.9, 4)
    view = View({"a": (400.0, lock)})
    now[0] = 10.0
    view.update()
    assert view.summary() == "0 of 1 runs, ETA unknown"
    lock.report_progress(1.5, 4)
    now[0] = 20.0
    view.update()
    assert view.summary() == "0 of 1 runs, ETA 2 min"  # half of an epoch in 20 s, 2.5 are left


def test_a_log_has_a_line_of_long_runs_now_and_then(tmp_path, monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.grid.progress.time.perf_counter", lambda: now[0])
    locks = {name: RunLock(tmp_path, name, 1, "abcdef0123") for name in "abc"}
    with locks["a"].held():
        view = View({name: (100.0, lock) for name, lock in locks.items()})
        for now[0] in range(0, 1000, 10):  # 500 s an epoch
            locks["a"].report_progress(now[0] / 500, 39)
            view.update()
    assert capsys.readouterr().out.splitlines() == [
        "0 of 3 runs, ETA 16.2 h; under way: a at epoch 0.6 of 39",
        "0 of 3 runs, ETA 16.1 h; under way: a at epoch 1.2 of 39",
        "0 of 3 runs, ETA 16.0 h; under way: a at epoch 1.9 of 39",
    ]
