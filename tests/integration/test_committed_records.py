"""Every committed record comes from code that is in the history, so that anyone can rebuild it."""

import subprocess
from pathlib import Path

import pytest

from benchmark.store.records import Record, Store

ROOT = Path(__file__).parents[2]


def git(*words: str) -> list[str]:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(Store(ROOT / "results" / "records").records())


def test_no_record_is_of_changed_or_lost_code(records: list[Record]) -> None:
    assert git("rev-parse", "--is-shallow-repository") == ["false"], "needs the whole history: git fetch --unshallow"
    history = set(git("rev-list", "HEAD"))
    assert [f"{record.run}: {record.commit}" for record in records if record.commit not in history] == []


def test_no_row_has_two_records_of_one_seed_and_configuration(records: list[Record]) -> None:
    runs = [(record.row, record.seed, record.fingerprint) for record in records]
    assert len(runs) == len(set(runs)) > 0
