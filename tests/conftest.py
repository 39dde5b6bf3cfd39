"""What tests share: a tiny text, tiny rows, and the command line in this process."""

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmark.cli import main
from benchmark.tasks import language_modeling
from benchmark.tasks.base import Row
from benchmark.tracking import logger

TINY = {"hidden_size": 8, "unroll": 4, "batch_size": 2, "epochs": 2, "flat_epochs": 1}
"""Overrides that make any language model row train in a moment."""


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


def write_text(folder: Path) -> Path:
    """Sentences that a language model can learn something from, in three splits."""
    folder.mkdir()
    generator = random.Random(0)
    for name, count in (("train", 200), ("valid", 30), ("test", 31)):
        lines = [
            f"the {generator.choice(['dog', 'cat'])} {generator.choice(['sees', 'hears'])} you" for _ in range(count)
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def translation_folder(tmp_path: Path) -> Path:
    """A folder of English-French sentence pairs in three splits, 60 to train on."""
    return write_pairs(tmp_path / "pairs")


def write_pairs(folder: Path) -> Path:
    """English-French sentence pairs in three splits, 60 to train on."""
    words = {"dog": "chien", "cat": "chat", "sees": "voit", "hears": "entend", "big": "grand", "old": "vieux"}
    folder.mkdir()
    generator = random.Random(0)
    for name, count in (("train", 60), ("val", 9), ("test", 10)):
        sentences = []
        for _ in range(count):
            adjectives = generator.sample(["big", "old"], generator.randrange(3))
            sentences.append([*adjectives, generator.choice(["dog", "cat"]), generator.choice(["sees", "hears"])])
        for language, translate in (("en", lambda word: word), ("fr", words.__getitem__)):
            text = "".join(" ".join(map(translate, sentence)) + "\n" for sentence in sentences)
            (folder / f"{name}.{language}").write_text(text)
    return folder


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


def tiny_flags(text_folder: Path) -> list[str]:
    """The overrides of TINY as command line options."""
    return [f"--source={text_folder}", *(f"--{name}={value}" for name, value in TINY.items())]


TINY_TRANSLATION = {
    "hidden_size": 16,
    "layers": 1,
    "batch_size": 8,
    "epochs": 2,
    "flat_epochs": 1,
    "init_range": 0.2,
    "max_length": 8,
    "source_words": 50,
    "target_words": 50,
    "beam": 2,
}
"""Overrides that make any translation row train in a moment."""


COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220), "yellow": (240, 220, 60)}


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A folder in the layout of Flickr8k whose captions say the colour and the side of what its pictures show."""
    return draw_pictures(tmp_path / "pictures", 60)


def draw_pictures(folder: Path, count: int, seed: int = 0) -> Path:
    """Images/ with that many pictures of a coloured box, and captions.txt with two captions of each."""
    (folder / "Images").mkdir(parents=True)
    generator, lines = random.Random(seed), ["image,caption"]
    for number in range(count):
        colour, side = generator.choice(list(COLOURS)), generator.choice(["left", "right"])
        image = Image.new("RGB", (80, 60), "white")
        left = 5 if side == "left" else 45
        image.paste(COLOURS[colour], (left, 15, left + 30, 45))
        image.save(folder / "Images" / f"{number:03d}.png")
        lines += [f'{number:03d}.png,"A {colour} box , on the {side} ."', f"{number:03d}.png,box that is {colour}"]
    (folder / "captions.txt").write_text("\n".join(lines) + "\n")
    return folder
