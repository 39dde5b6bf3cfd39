"""`rnnreg reproduce --until-decided` on tiny rows: looks, decisions, resuming, and its plan."""

from pathlib import Path

import pytest
from support.factories import TINY


@pytest.fixture
def here(tmp_path, text_folder) -> list[object]:
    """Two rows of the medium size, without dropout and with so much of it that nothing is learned."""
    path = tmp_path / f"rows_until_{abs(hash(str(tmp_path)))}.py"
    learning = {"hidden_size": 16, "epochs": 3, "flat_epochs": 3, "init_range": 0.3, "clip": 5.0}
    tiny = {**TINY, **learning, "source": str(text_folder)}
    path.write_text(
        "from benchmark.tasks import language_modeling\n"
        f"WITHOUT = language_modeling.PTB_MEDIUM.variant('tiny', **{tiny!r}, dropout=0.0)\n"
        "ROWS = [WITHOUT, WITHOUT.variant('tiny-dropout', dropout=0.9)]\n"
    )
    store = ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu", "--jobs", 1, "--threads", 1]
    return ["reproduce", "--only", "tiny,tiny-dropout", "--rows_file", path, *store]


def test_seeds_are_added_until_the_claim_is_decided(rnnreg, here, text_folder: Path, tmp_path: Path) -> None:
    code, out, err = rnnreg(*here, "--seeds", 1, "--until-decided", "--dry-run")
    assert code == 0, err
    assert "until decided: 1 comparison is open; looks at 3, 5, 8, 12, 20 seeds of each row" in out
    assert not (tmp_path / "runs").exists()

    code, out, err = rnnreg(*here, "--seeds", 1, "--until-decided", "--max-seeds", 4)
    assert code == 0, out + err
    assert "look at 3 seeds: medium, test perplexity" in out
    assert "contradicted with 3 seeds: text, medium, test perplexity" in out
    assert len(list((tmp_path / "runs").glob("tiny/*/record.json"))) == 3

    code, out, err = rnnreg(*here, "--seeds", 1, "--until-decided", "--max-seeds", 4)  # nothing is left to do
    assert code == 0, err
    assert "look at" not in out
    assert "contradicted with 3 seeds" in out
    code, out, _ = rnnreg(*here, "--seeds", 1, "--until-decided", "--max-seeds", 4, "--dry-run")
    assert (code, "0 comparisons are open" in out) == (0, True)

    path = text_folder / "train.txt"
    path.write_text(path.read_text() + path.read_text())  # the runs are of the text as it was
    code, out, err = rnnreg(*here, "--seeds", 1, "--until-decided", "--max-seeds", 4, "--dry-run")
    assert code == 0, err
    assert "1 comparison is open" in out


def test_a_run_that_diverged_does_not_keep_other_claims_from_being_decided(rnnreg, here, tmp_path: Path) -> None:
    path = Path(next(one for one in here if str(one).endswith(".py")))
    wild = "WITHOUT.variant('wild', lr=1e30, clip=1e30)"
    path.write_text(path.read_text() + f"from dataclasses import replace\nROWS += [replace({wild}, size='small')]\n")
    here[here.index("--only") + 1] = "tiny,tiny-dropout,wild"
    code, out, err = rnnreg(*here, "--seeds", 1, "--until-decided")
    assert code == 1
    assert "contradicted with 3 seeds: text, medium, test perplexity" in out
    assert "undecided with 3 seeds, as runs diverged: text, medium → small, without dropout" in out
    assert "1 run failed, the others are kept: wild seed 1: training diverged in epoch 1" in err
    assert not list((tmp_path / "runs").glob("wild/*/record.json"))
