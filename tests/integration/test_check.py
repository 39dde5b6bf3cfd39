"""`rnnreg check` as continuous integration calls it, on tiny rows."""

import shutil
from pathlib import Path

import pytest
from support.factories import TINY

from benchmark.training import train

CRASH = """
from benchmark.training import train
set_up_data = train.set_up_data
def unlucky(row, seed, options):
    if seed == 3:
        raise RuntimeError("no luck")
    return set_up_data(row, seed, options)
train.set_up_data = unlucky
"""
"""Makes a file of rows one whose third run crashes."""


@pytest.fixture
def tiny(tmp_path, text_folder) -> list[object]:
    """The options that make every command work on a tiny row in a store of its own."""
    path = tmp_path / f"rows_check_{abs(hash(str(tmp_path)))}.py"
    path.write_text(
        "from benchmark.tasks import language_modeling\n"
        f"ROWS = [language_modeling.PTB_SMALL.variant('tiny', source={str(text_folder)!r}, **{TINY!r})]\n"
    )
    return ["--rows_file", path]


def test_reference_runs_then_a_check_that_passes_and_one_on_other_data(
    rnnreg, tiny, text_folder, tmp_path, monkeypatch
) -> None:
    here = ["--wandb", "off", "--accelerator", "cpu", "--threads", 1, "--jobs", 1]
    baseline = ["--baseline", tmp_path / "baseline.json"]
    code, _, err = rnnreg("reproduce", "--only", "tiny", "--seeds", 5, "--store", tmp_path / "runs", *tiny, *here)
    assert code == 0, err
    update = ["--only", "tiny", "--reason", "first", "--store", tmp_path / "runs", *baseline, *tiny]
    code, out, err = rnnreg("baseline", "update", *update)
    assert code == 0, err
    assert "tiny: 5 reference runs" in out
    code, out, err = rnnreg("baseline", *baseline)
    assert (code, out.count("\n")) == (0, 1), err

    checking = ["check", "--store", tmp_path / "check", "--junit", tmp_path / "junit.xml", *baseline, *tiny, *here]
    code, out, err = rnnreg(*checking)
    assert code == 0, out + err
    assert "tiny: 2 of 2 runs match their reference bit for bit" in out
    assert 'tests="4" failures="0" errors="0"' in (tmp_path / "junit.xml").read_text()
    assert len(list((tmp_path / "check").glob("*/tiny/seed-*/record.json"))) == 2

    monkeypatch.setattr(train, "set_up_data", train.set_up_data)  # what the file of rows changes ends with this test
    rows = Path(tiny[1])
    failing = tmp_path / f"failing_{rows.name}"
    failing.write_text(rows.read_text() + CRASH)
    code, out, err = rnnreg(*checking, "--seeds", 3, "--rows_file", failing)
    assert code == 1, out + err
    assert out.splitlines()[-1] == "that is of the other runs only: 1 run failed, see above"
    assert "failed: tiny seed 3: RuntimeError: no luck" in out
    xml = (tmp_path / "junit.xml").read_text()
    assert 'tests="5" failures="0" errors="1"' in xml
    assert 'classname="runs" name="tiny seed 3"' in xml
    shutil.rmtree(max((tmp_path / "check").glob("*")))

    text = (text_folder / "train.txt").read_text()
    (text_folder / "train.txt").write_text(text + "the dog sees you\n")
    code, out, err = rnnreg(*checking)
    assert code == 2, out + err
    assert "trained on other data than the references" in out
    assert len(list((tmp_path / "check").glob("*"))) == 2  # the first check's runs are still there


def test_a_check_without_a_baseline_says_what_makes_one(rnnreg, tmp_path: Path) -> None:
    code, _, err = rnnreg("check", "--baseline", tmp_path / "none.json")
    assert (code, err.count("\n")) == (2, 1)
    assert "`rnnreg baseline update` makes one" in err


def test_a_check_without_data_is_undecided(rnnreg, tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text('{"samromur": {"references": [], "accepted": []}}')
    here = ["--store", tmp_path / "check", "--data", tmp_path / "data", "--wandb", "off"]
    code, _, err = rnnreg("check", "--baseline", tmp_path / "baseline.json", *here)
    assert (code, err.count("\n")) == (2, 1), err
    assert str(tmp_path / "data" / "samromur") in err
