"""What a command writes never takes the place of what it reads, nor of a part of a run."""

import shutil
from pathlib import Path

import pytest

from benchmark.store.records import COMMITTED

RUN = "sotu-small/seed-1-69d58e0b"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with one run, and files of a user's."""
    shutil.copytree(COMMITTED / RUN, tmp_path / "runs" / RUN)
    (tmp_path / "text.txt").write_text("the state of the union is strong\n" * 30)
    (tmp_path / "log.csv").write_text("epoch,perplexity\n1,200\n2,150\n")
    (tmp_path / "scene.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    return tmp_path


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("evaluate", "sotu-medium-dropout", "--text", "text.txt", "--output", "text.txt"), "text.txt"),
        (("caption", "scene.svg", "--draw", "./scene.svg"), "scene.svg"),
        (("compare", "sotu-small", "log.csv", "--markdown", "log.csv"), "log.csv"),
        (("certify", "--output", f"runs/{RUN}/record.json"), f"runs/{RUN}/record.json"),
        (("verify", "runs", "--junit", f"runs/{RUN}/log_probabilities.npz"), f"runs/{RUN}/log_probabilities.npz"),
    ],
)
def test_nothing_is_written_over_what_would_be_lost(rnnreg, place: Path, monkeypatch, words, kept: str) -> None:
    monkeypatch.chdir(place)
    before = (place / kept).read_bytes()
    code, _, err = rnnreg(*words)
    assert (code, err.count("\n")) == (1, 1)
    assert "name a new file" in err
    assert (place / kept).read_bytes() == before


def test_an_earlier_output_is_written_anew(rnnreg, place: Path, monkeypatch) -> None:
    monkeypatch.chdir(place)
    for _ in range(2):
        code, _, err = rnnreg("evaluate", "sotu-medium-dropout", "--text", "text.txt", "--output", "lines.tsv")
        assert code == 0, err
