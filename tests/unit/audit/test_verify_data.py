"""A record's data are held against the published checksum and against the data that are there, and both count."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.audit.cases import Case, Gap
from benchmark.audit.checks import data
from benchmark.audit.history import History
from benchmark.audit.published import PUBLISHED_DATA
from benchmark.store.records import Record, read_record
from benchmark.tasks.registry import ROWS

RECORDS = Path(__file__).parents[3] / "results" / "records"
(PUBLISHED,) = PUBLISHED_DATA["sotu"].sha256
ALTERED, OTHER = "a" * 64, "b" * 64
FORGED = "data aaaaaaaaaaaa are not the published sotu, which gives"
NOT_THERE = "data aaaaaaaaaaaa are not sotu as it is there, which gives 1a99d240346d"


@pytest.fixture(scope="module")
def record() -> Record:
    return read_record(next(RECORDS.glob("sotu-small/seed-1-*/record.json")))


def said(record: Record, here: str, **configuration: Any) -> list[str]:
    record = replace(record, configuration={**record.configuration, **configuration})
    return list(data(Case(None, record, {row.name: row for row in ROWS}, History(), data_sha256=here)))


@pytest.mark.parametrize("configuration", [{}, {"dropout": 0.05}], ids=["row", "variant"])
def test_data_that_were_changed_accuse_no_true_record_and_excuse_no_false_one(record: Record, configuration) -> None:
    false = replace(record, data_sha256=ALTERED)
    assert said(record, PUBLISHED, **configuration) == said(record, "", **configuration) == []
    (message,) = said(record, ALTERED, **configuration)
    assert isinstance(message, Gap)
    assert "as it is there, which gives aaaaaaaaaaaa and is not the published one" in message
    for here, messages in {"": [FORGED], ALTERED: [FORGED], PUBLISHED: [FORGED, NOT_THERE]}.items():
        found = said(false, here, **configuration)
        assert [one[: len(message)] for one, message in zip(found, messages, strict=True)] == messages
        assert not any(isinstance(one, Gap) for one in found)


def test_data_that_no_row_of_the_suite_reads_are_held_against_those_that_are_there(record: Record) -> None:
    part = replace(record, data_sha256=OTHER)
    assert said(part, OTHER, train_fraction=0.5) == []
    assert [type(one) for one in said(part, "", train_fraction=0.5)] == [Gap]
    (message,) = said(record, OTHER, train_fraction=0.5)  # of half the text, it cannot have the checksum of the whole
    assert not isinstance(message, Gap)
