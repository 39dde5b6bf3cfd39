"""Preparations on disk: shared by users, whole or not there, and made again where they are damaged."""

import errno
import os
import socket
from pathlib import Path

import pytest

from datamodules import cache
from datamodules.cache import leftovers, prepared
from datamodules.errors import DataError


@pytest.fixture(autouse=True)
def _another_process(monkeypatch) -> None:
    monkeypatch.setattr(cache, "_checked", set())


def name() -> str:
    return "x"


def fill(folder: Path) -> None:
    (folder / "a").write_bytes(b"content")


@pytest.mark.parametrize(("umask", "folder_mode", "file_mode"), [(0o022, 0o755, 0o644), (0o002, 0o775, 0o664)])
def test_a_second_user_can_read_what_the_first_has_prepared(tmp_path, umask: int, folder_mode: int, file_mode: int):
    before = os.umask(umask)
    try:
        folder = prepared(name, "the text", tmp_path, fill)
    finally:
        os.umask(before)
    assert folder == tmp_path / "prepared" / "x"
    assert folder.stat().st_mode & 0o777 == folder_mode
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {file_mode}


def test_a_preparation_that_cannot_be_replaced_is_made_elsewhere(tmp_path, monkeypatch) -> None:
    """As one of another user that cannot be read: that user's folder stays as it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "prepared" / "x").mkdir(parents=True)
    (tmp_path / "prepared" / "x" / cache.WHOLE).write_text("not mine")

    def refuse(folder: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(cache.shutil, "rmtree", refuse)
    assert prepared(name, "the text", tmp_path, fill) == tmp_path / "cache" / "rnnreg" / "x"


def test_a_user_without_a_home_and_a_place_is_told(tmp_path, monkeypatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    (tmp_path / "prepared").write_text("in the way")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", homeless)
    with pytest.raises(DataError, match=r"cannot write to .*prepared \(File exists\); name another folder with --data"):
        prepared(name, "the text", tmp_path, fill)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path) -> None:
    def full(folder: Path) -> None:
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"prepared: No space left on device; nothing is left of this try"):
        prepared(name, "the text", tmp_path, full)
    assert not list((tmp_path / "prepared").iterdir())
    assert prepared(name, "the text", tmp_path, fill).is_dir()


def test_what_killed_processes_left_is_removed(tmp_path) -> None:
    place = tmp_path / "prepared"
    host = socket.gethostname()
    dead, alive = place / f".rnnreg-x.{host}-0.4000000", place / f".rnnreg-x.{host}-0.{os.getpid()}"
    elsewhere = place / ".rnnreg-x.another-machine-0.4000000"
    for folder in (dead, alive, elsewhere):
        folder.mkdir(parents=True)
    assert leftovers(place) == [dead]
    assert prepared(name, "the text", tmp_path, fill).is_dir()
    assert [folder.is_dir() for folder in (dead, alive, elsewhere)] == [False, True, True]


def test_a_damaged_preparation_is_made_again(tmp_path, monkeypatch, caplog) -> None:
    folder = prepared(name, "the text", tmp_path, fill)
    for damage in ("a", cache.WHOLE):
        monkeypatch.setattr(cache, "_checked", set())
        content = (folder / damage).read_bytes()
        (folder / damage).write_bytes(content[:-2] + b"xx")
        assert (prepared(name, "the text", tmp_path, fill) / "a").read_bytes() == b"content"
    assert caplog.text.count("is damaged or cannot be read: it is made again") == 2
    prepared(name, "the text", tmp_path, lambda _: pytest.fail("made again"))


def test_what_was_prepared_while_its_source_changed_is_not_kept(tmp_path) -> None:
    source = tmp_path / "source"
    source.write_text("before")

    def copy(folder: Path) -> None:
        source.write_text("after")
        (folder / "a").write_bytes(source.read_bytes())

    with pytest.raises(DataError, match=r"the text changed while it was prepared; leave it as it is, and run"):
        prepared(source.read_text, "the text", tmp_path, copy)
    assert not list((tmp_path / "prepared").iterdir())
    assert prepared(source.read_text, "the text", tmp_path, copy).name == "after"
