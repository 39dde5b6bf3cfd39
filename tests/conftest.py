"""What tests share: a tiny text, tiny rows, and the command line in this process."""

import random
import zlib
from pathlib import Path

import pytest
import torch

from benchmark import rows
from benchmark.cli import main
from benchmark.rows import Row

TINY = {"hidden_size": 8, "unroll": 4, "batch_size": 2, "epochs": 2, "flat_epochs": 1}
"""Overrides that make any language model row train in a moment."""


@pytest.fixture(autouse=True)
def _reproducible(request: pytest.FixtureRequest) -> None:
    """Random numbers that depend on the test alone, not on the order of tests."""
    torch.manual_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    """A folder with train.txt, valid.txt and test.txt of sentences that a model can learn something from."""
    folder = tmp_path / "text"
    folder.mkdir()
    generator = random.Random(0)
    for name, count in (("train", 200), ("valid", 30), ("test", 31)):
        lines = [
            f"the {generator.choice(['dog', 'cat'])} {generator.choice(['sees', 'hears'])} you" for _ in range(count)
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def tiny_row(text_folder: Path) -> Row:
    """A language model row that trains in a moment."""
    return rows.PTB_SMALL.variant("tiny", source=str(text_folder), **TINY)


@pytest.fixture
def rnnreg(capsys: pytest.CaptureFixture[str]):
    """Run a command line; gives (exit code, standard output, standard error)."""

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def tiny_flags(text_folder: Path) -> list[str]:
    """The overrides of TINY as command line options."""
    return [f"--source={text_folder}", *(f"--{name}={value}" for name, value in TINY.items())]
