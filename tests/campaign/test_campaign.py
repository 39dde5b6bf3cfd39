"""Every driver of the campaign for a moment, and that each sees what it is there to see."""

import gc
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from benchmark.store import sealed
from campaign import children, good, ledger
from campaign.drivers import campaign
from campaign.flips import READ_AT_ONCE, Flips
from campaign.fuzz import Target, bound_process, bounded, fuzz, try_inputs
from campaign.ledger import Budget, Driver, Fault
from campaign.mutations import INSTEAD, Damage, Edit
from campaign.places import Wrong
from campaign.readers import READERS, reader
from campaign.runs import Suite
from campaign.words import COMMAND_LINE

LINE_SEPARATOR = "\u2028".encode()
CONTENTS = (b"", b"\n", b"[]", b"{}", b"null", b"1", b'{"a": []}', b'[{"a": 1}]', b"\0" * 40, LINE_SEPARATOR)
"""What a file may hold in place of what is right."""
ONE_TASK = ("language-modeling",)
KILLED_AT_AN_OPERATION = 9
"""A seed whose first kill is at an operation on files, which no run is fast enough to escape."""


def test_a_moment_of_runs(tmp_path: Path) -> None:
    found = campaign(
        tmp_path, KILLED_AT_AN_OPERATION, Budget(rounds=1), ["kills", "flips", "disks"], tmp_path / "faults", ONE_TASK
    )
    assert {kind: fault for driver in found for kind, fault in driver.faults.items()} == {}
    assert found[0].trials
    assert found[1].trials > READ_AT_ONCE


def test_a_moment_of_fuzzing(tmp_path: Path) -> None:
    """All in one process, as a fork of one that has everything imported takes longer than a few inputs."""

    def try_all() -> int:
        bound_process()
        found = [
            try_inputs(target, tmp_path / "input", tmp_path / "kept", set(), seed=1, examples=8)
            for target in (*READERS, *COMMAND_LINE)
        ]
        print([fault for findings in found for fault in findings.faults])
        return int(any(findings.faults or sum(findings.endings.values()) < 4 for findings in found))

    ended = children.call(try_all, tmp_path / "log")
    assert ended.code == 0, ended.output


class WaitsInChildren:
    """Ends at once where it was made, and never in a forked process, as threads do that it would wait for."""

    def __init__(self) -> None:
        self.home, self.itself = os.getpid(), self

    def __del__(self) -> None:
        while os.getpid() != self.home:
            signal.pause()


def test_what_is_left_to_collect_does_not_stop_a_child(tmp_path: Path) -> None:
    def collect() -> int:
        left.clear()
        return int(gc.collect() < 0)

    left = [WaitsInChildren()]
    WaitsInChildren()
    assert children.call(collect, tmp_path / "log", 60).code == 0


@pytest.mark.parametrize("target", READERS, ids=lambda target: target.name)
def test_whatever_stands_in_the_place_of_any_file_is_read_or_refused(target: Target, tmp_path: Path) -> None:
    """Good folders with each of their files in turn replaced or begun otherwise; nothing is waited for."""

    def try_all() -> int:
        bound_process()
        seeds = target.check.keywords["seeds"]()  # type: ignore[attr-defined]
        for number, files in enumerate(seeds):
            for place in range(len(files)):
                damages = [
                    *(Damage(number, (), None, (place, kind)) for kind in INSTEAD),
                    *(Damage(number, (), (place, content), None) for content in CONTENTS),
                    *(Damage(number, (Edit(place, 0.0, 0, piece),), None, None) for piece in (b"\0", LINE_SEPARATOR)),
                ]
                for damage in damages:
                    print(sorted(files)[place], damage, flush=True)
                    bounded(partial(target.check, damage, tmp_path / "input"))
        return 0

    ended = children.call(try_all, tmp_path / "log", seconds=60)
    assert (ended.code, ended.hung) == (0, False), ended.output


def test_a_record_that_is_not_verified_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = Suite(tmp_path / "suite", tmp_path / "faults", ())
    whole, flipped = suite.place(), suite.place()
    for place in (whole, flipped):
        for name, content in good.record()[0].items():
            (place.store / name).parent.mkdir(parents=True, exist_ok=True)
            (place.store / name).write_bytes(
                content.replace(b'"parameters": 10', b'"parameters": 30') if place is flipped else content
            )
    tries = Flips(suite, Driver("flips", "bits", 0))
    tries.done["task"] = whole
    assert [tries.read("task", place) for place in (whole, flipped)] == ["right", "refused"]
    monkeypatch.setattr(sealed, "checksum_of", lambda content: Anything())
    with pytest.raises(Wrong, match="another record is read"):
        tries.read("task", flipped)


class Anything:
    """A checksum that never differs."""

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


def test_a_reader_that_raises_hangs_or_dies_is_seen(tmp_path: Path) -> None:
    def bad(folder: Path) -> None:
        raise KeyError((folder / "file").read_bytes())

    driver = Driver("readers", "inputs", 0)
    targets = [reader("bad", lambda: [{"file": b"good"}], bad)]
    for _ in fuzz(targets)(Suite(tmp_path / "suite", tmp_path / "faults", ()), 1, Budget(rounds=1), driver):
        pass
    (kind,) = driver.faults
    assert kind == "bad: KeyError"
    kept = driver.faults[kind][0].kept
    assert kept is not None
    assert "Damage(" in (kept / "input.txt").read_text()


def test_the_outcome_is_written_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{ledger.BEGIN}\nold\n{ledger.END}\nafter\n")
    driver = Driver("kills", "kills", 1)
    driver.count("killed", 3)
    driver.fail(Fault("a|b", "it broke", "--seed 1"))
    ledger.write(page, ledger.as_markdown([driver], 1, 60))
    text = page.read_text()
    assert text.startswith(f"before\n{ledger.BEGIN}\n")
    assert "| kills | 3 kills | 3 killed | a\\|b (1) |" in text
    assert "old" not in text
    assert text.endswith(f"{ledger.END}\nafter\n")
