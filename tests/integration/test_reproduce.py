"""`rnnreg reproduce` on tiny rows, and the commands that use what it leaves."""

import re
from pathlib import Path

from support.factories import TINY

from benchmark.store.diverged import read_diverged
from benchmark.store.records import Store


def rows_file(tmp_path: Path, text_folder: Path) -> Path:
    """A rows file with two tiny rows, one with dropout."""
    path = tmp_path / f"rows_{abs(hash(str(tmp_path)))}.py"
    path.write_text(
        "from dataclasses import replace\nfrom benchmark.tasks import language_modeling\n"
        f"TINY = language_modeling.PTB_SMALL.variant('tiny', source={str(text_folder)!r}, **{TINY!r})\n"
        "ROWS = [replace(TINY, profiles=('quick',)), TINY.variant('tiny-dropout', dropout=0.2)]\n"
    )
    return path


def test_reproduce_fills_the_store_prints_the_table_and_goes_on_where_it_was(rnnreg, text_folder, tmp_path) -> None:
    path = rows_file(tmp_path, text_folder)
    command = ["reproduce", "--only", "tiny,tiny-dropout", "--seeds", 2, "--jobs", 2, "--rows_file", path]
    command += ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    code, out, err = rnnreg(*command)
    assert code == 0, err
    assert "4 runs, 2 at a time" in out
    assert len(re.findall(r"^\[\d/4\] tiny.* seed \d: validation perplexity \d", out, re.MULTILINE)) == 4
    assert re.search(r"^\| small \| 0.2 \| 2 \| \d", out, re.MULTILINE)
    records = list(Store(tmp_path / "runs").records())
    assert sorted((record.row, record.seed) for record in records) == [
        ("tiny", 1), ("tiny", 2), ("tiny-dropout", 1), ("tiny-dropout", 2),
    ]  # fmt: skip
    assert (tmp_path / "runs" / "text.svg").read_text().startswith("<?xml")

    assert rnnreg(*command)[0] == 0
    assert list(Store(tmp_path / "runs").records()) == records

    assert rnnreg("table", "--store", tmp_path / "runs", "--rows_file", path)[0] == 0
    assert rnnreg("table", "--store", tmp_path / "runs", "--rows_file", path, "--check")[:2] == (0, "up to date\n")
    (tmp_path / "runs" / "table.md").write_text("old")
    code, _, err = rnnreg("table", "--store", tmp_path / "runs", "--rows_file", path, "--check")
    assert code == 1
    assert "stale: " in err


def test_one_failed_run_does_not_cost_the_others(rnnreg, text_folder, tmp_path) -> None:
    path = rows_file(tmp_path, text_folder)
    path.write_text(path.read_text() + "ROWS += [TINY.variant('wild', lr=1e30, clip=1e30)]\n")
    code, out, err = rnnreg(
        "reproduce", "--only", "wild,tiny", "--seeds", 1, "--jobs", 1, "--rows_file", path,
        "--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu",
    )  # fmt: skip
    assert code == 1
    assert "wild seed 1: FAILED: training diverged" in out
    assert "1 of 2 runs failed, the others are kept: wild seed 1" in err
    assert [record.row for record in Store(tmp_path / "runs").records()] == ["tiny"]
    assert [(run.row, run.seed, run.epoch) for run in read_diverged(tmp_path / "runs")] == [("wild", 1, 1)]
    assert re.search(r"^\| small \| none \| 1 diverged \| diverged \|", out, re.MULTILINE)


def test_sample_continues_the_prompt(run_tiny, rnnreg, tmp_path) -> None:
    record = run_tiny()
    code, out, err = rnnreg(
        "sample", record.row, "--store", tmp_path / "runs", "--prompt", "the dog meaning", "--words", 12
    )
    assert code == 0, err
    assert out.startswith("the dog meaning ")
    assert len(out.replace(".", " .").split()) == 15
    assert "read as <unk>, not in the vocabulary: meaning" in err
    _, without, _ = rnnreg(
        "sample", record.row, "--store", tmp_path / "runs", "--prompt", "the", "--exclude", "dog,<unk>"
    )
    assert "dog" not in without
    code, _, err = rnnreg("sample", "ptb-large", "--store", tmp_path / "runs")
    assert code == 1
    assert "has no trained ptb-large; trained there: ptb-small+" in err


def test_collect_leaves_runs_of_uncommitted_code_and_of_changed_rows(run_tiny, rnnreg, tmp_path) -> None:
    run_tiny()
    code, out, _ = rnnreg("collect", "--store", tmp_path / "runs", "--into", tmp_path / "kept")
    assert (code, out.split(" records")[0]) == (0, "0")
