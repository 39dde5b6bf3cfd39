"""Every driver of the campaign for a moment, and that each sees what it is there to see."""

from pathlib import Path

import pytest

from benchmark.store import records
from campaign import ledger
from campaign.drivers import campaign
from campaign.fuzz import fuzz
from campaign.ledger import Budget, Driver, Fault
from campaign.readers import reader
from campaign.runs import Suite

ONE_TASK = ("language-modeling",)


@pytest.mark.parametrize("driver", ["kills", "flips", "disks"])
def test_a_moment_of_runs(driver: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (found,) = campaign(tmp_path, 1, Budget(rounds=1), [driver], tmp_path / "faults", ONE_TASK)
    assert found.faults == {}
    assert found.trials or "skipped" in capfd.readouterr().out


@pytest.mark.parametrize(("driver", "rounds"), [("readers", 42), ("words", 1)])
def test_a_moment_of_fuzzing(driver: str, rounds: int, tmp_path: Path) -> None:
    (found,) = campaign(tmp_path, 1, Budget(rounds=rounds), [driver], tmp_path / "faults", ONE_TASK)
    assert found.faults == {}
    assert found.trials >= 4 * rounds


def test_a_record_that_is_not_verified_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_checksum", lambda content: content.get("sha256", "none"))
    (found,) = campaign(tmp_path, 1, Budget(rounds=1), ["flips"], tmp_path / "faults", ONE_TASK)
    assert any("another record is read" in kind for kind in found.faults)


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
