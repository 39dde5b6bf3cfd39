"""What `rnnreg clean` removes, and what it leaves alone."""

from pathlib import Path

import pytest

from benchmark.store.locks import RunLock


@pytest.fixture
def left(tmp_path: Path, monkeypatch) -> dict[str, Path]:
    """A store and a data folder with things that killed processes left, and with things that are needed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    files = {
        "half a checkpoint": "runs/tiny/seed-1-0123abcd/.rnnreg-last.ckpt.4711",
        "half a table": "runs/.rnnreg-table.md.12",
        "half of the vectors": "data/features/own/.rnnreg-descriptor.npy.99",
        "half a preparation": "data/prepared/.rnnreg-0a1b2c.host-0.4711/frames",
        "half a preparation elsewhere": "cache/rnnreg/.rnnreg-0a1b2c.host-1.00000012/frames",
        "half a download": "data/ptb/.rnnreg-ab12_cd3/ptb.train.txt",
        "errors of devices": "scratch/.rnnreg-ab12_cd3/0",
        "record": "runs/tiny/seed-1-0123abcd/record.json",
        "checkpoint": "runs/tiny/seed-1-0123abcd/last.ckpt",
        "preparation": "data/prepared/0a1b2c/about.json",
        "repository": "data/.git/config.12",
        "someone else's": "scratch/pip-ab12_cd3/0",
        "photographs": "data/mytext/tmpphotos24/1.jpg",
        "backup of a store": "runs/.backup.20240101/record.json",
        "settings": "runs/.bashrc.2024",
        "notes beside a run": "runs/tiny/seed-1-0123abcd/.notes.2",
        "work": "scratch/rnnreg-mywork24/1.txt",
        "own features": "data/features/own/.archive.20240101/1.npy",
    }
    for name, place in files.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    lock = RunLock(tmp_path / "runs", "tiny", 1, "abcdef0123")
    with lock.held():
        lock.report_progress(1, 2)
    return {name: tmp_path / place for name, place in files.items()} | {"lock": lock.path}


NEEDED = {
    "record", "checkpoint", "preparation", "repository", "someone else's", "photographs", "backup of a store",
    "settings", "notes beside a run", "work", "own features",
}  # fmt: skip


def test_what_killed_processes_left_is_said_and_removed(left, rnnreg, tmp_path) -> None:
    held = RunLock(tmp_path / "runs", "tiny", 2, "abcdef0123")
    with held.held():
        held.report_progress(1, 2)
        where = ["clean", "--store", tmp_path / "runs", "--data", tmp_path / "data"]
        code, out, _ = rnnreg(*where)
        assert code == 0
        assert out.count("left alone: changed in the last 10 minutes") == 7
        assert not left["lock"].exists()  # a free lock tells by itself that nobody needs it
        code, out, _ = rnnreg(*where, "--idle-minutes", 0, "--dry-run")
        assert out.endswith("7 files and folders, 126 bytes, would be removed\n")
        assert all(path.exists() for name, path in left.items() if name != "lock")
        code, out, err = rnnreg(*where, "--idle-minutes", 0)
        assert (code, err) == (0, "")
        assert "seed-1-0123abcd/.rnnreg-last.ckpt.4711: 17 bytes\n" in out
        assert "7 files and folders removed" in out
        assert {name for name, path in left.items() if path.exists()} == NEEDED
        assert held.progress == (1, 2)
        assert held.is_held
    assert rnnreg(*where, "--idle-minutes", 0)[0] == 0
    assert held.progress == (0, 0)


def test_what_another_user_left_where_all_may_write_is_left_alone(left, rnnreg, tmp_path, monkeypatch) -> None:
    (tmp_path / "scratch").chmod(0o1777)
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    where = ["clean", "--store", tmp_path / "runs", "--data", tmp_path / "data", "--idle-minutes", 0]
    code, out, _ = rnnreg(*where)
    assert code == 0
    assert f"{left['errors of devices'].parent}: 17 bytes, left alone: of another user\n" in out
    assert left["errors of devices"].exists()
    assert not left["half a checkpoint"].exists()


def test_a_folder_that_is_named_and_not_there_is_said(rnnreg, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    code, _, err = rnnreg("clean", "--store", tmp_path / "rums", "--data", tmp_path / "data", "--dry-run")
    assert (code, err) == (0, f"rnnreg: --store {tmp_path / 'rums'}: there is no such folder\n")
