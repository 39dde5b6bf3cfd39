"""What tests share: a tiny text, tiny rows, and the command line in this process."""

import os
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: threads of tests side by side would wait for each other

import pytest
import torch
from support.corpora import draw_pictures, write_pairs, write_text
from support.factories import TINY

from benchmark.cli import main
from benchmark.tasks import language_modeling
from benchmark.tasks.base import Row
from benchmark.tracking import logger


@pytest.fixture(autouse=True)
def _signals_as_a_terminal_has_them() -> None:
    """A shell ignores some for commands in the background, and Ray leaves a handler in a process that has used it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _reproducible(request: pytest.FixtureRequest) -> None:
    """Random numbers that depend on the test alone, not on the order of tests."""
    torch.manual_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(autouse=True)
def _no_wandb_run_is_left_open() -> Iterator[None]:
    """A W&B run belongs to the test that began it."""
    yield
    logger.finish()


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    """A folder with train.txt, valid.txt and test.txt of sentences that a model can learn something from."""
    return write_text(tmp_path / "text")


@pytest.fixture
def translation_folder(tmp_path: Path) -> Path:
    """A folder of English-French sentence pairs in three splits, 60 to train on."""
    return write_pairs(tmp_path / "pairs")


@pytest.fixture
def tiny_row(text_folder: Path) -> Row:
    """A language model row that trains in a moment."""
    return language_modeling.PTB_SMALL.variant("tiny", source=str(text_folder), **TINY)


@pytest.fixture
def rnnreg(capsys: pytest.CaptureFixture[str]):
    """Run a command line; gives (exit code, standard output, standard error)."""

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A folder in the layout of Flickr8k whose captions name the color and the side of what its pictures show."""
    return draw_pictures(tmp_path / "pictures", 60)
