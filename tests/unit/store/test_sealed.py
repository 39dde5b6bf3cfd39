"""Sealed files that are not as this version writes them: what is said of each, and that nobody is told to delete it."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from support.factories import make_record

from benchmark.store.records import RECORD, Store, read_record
from benchmark.store.sealed import CorruptRecord, write_sealed

LATER = {**asdict(make_record()), "phase": 1}
OTHER = {name: value for name, value in asdict(make_record()).items() if name not in ("seed", "unit")}
SEALED = json.dumps({"row": "a"}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record = make_record()
    Store(tmp_path).write(record, {})
    return tmp_path / record.run / RECORD


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_record_may_have_a_byte_order_mark(path: Path, encoding: str) -> None:
    path.write_text(path.read_text(), encoding=encoding)
    assert read_record(path) == make_record()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LATER, "was written by another version of the suite (unknown field phase); update the suite"),
        (OTHER, "was written by another version of the suite (without fields seed, unit); update the suite"),
    ],
)
def test_a_record_of_another_version_is_not_called_damaged(path: Path, content, message: str) -> None:
    write_sealed(content, path)
    with pytest.raises(CorruptRecord) as refused:
        read_record(path)
    assert str(refused.value) == f"{path} {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer of Git LFS in place of"),
        ("{\n<<<<<<< HEAD\n 1\n=======\n 2\n>>>>>>> b\n}", "has the marks of a merge conflict; resolve it, or"),
        ("", "is not a record of this suite (not JSON (Expecting value: line 1 column 1 (char 0))); put the file back"),
        ("[]", "is not a record of this suite (it has no checksum of its fields); put the file back as it was written"),
        (SEALED, "is not a record of this suite (it has no checksum of its fields); put the file back"),
        ('{"row": "a", "sha256": "0"}', "was altered after it was written (checksum differs); put the file back as it"),
    ],
)
def test_what_is_no_record_is_named_and_not_to_be_deleted(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(CorruptRecord) as refused:
        read_record(path)
    assert str(refused.value).startswith(f"{path} {message}")
    assert "delete" not in str(refused.value)


def test_a_run_is_not_done_by_the_record_of_another(tmp_path: Path) -> None:
    store, record, other = Store(tmp_path), make_record(), make_record(seed=2)
    store.write(record, {})
    (tmp_path / record.run).rename(tmp_path / other.run)
    with pytest.raises(CorruptRecord, match=f"is the record of {record.run}; give its folder this name"):
        store.find(other.run)
    assert store.find(record.run) is None
