"""Text as contiguous streams for truncated backpropagation through time (paper section 4.1)."""

import hashlib
import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.base import TaskData
from datamodules.errors import DataError
from datamodules.language_modeling.sources import PENN_TREEBANK, STATE_OF_THE_UNION, read_corpus
from datamodules.sources import SPLITS
from datamodules.vocabulary import EOS, UNK, Vocabulary
from datamodules.words import require_words

NOTED_REST = 0.01
"""Share of the training text that fills no window, from which on it is said."""

EVALUATION_WINDOW = 500
"""Time steps evaluated at once. State is carried, so any window gives the same perplexity; long ones are faster."""


class ConventionBatch(NamedTuple):
    """A window of the text as the authors' code evaluates it, with the divisor of its perplexity."""

    inputs: Tensor
    """Ids [time, streams]."""
    targets: Tensor
    """Ids of the tokens that follow them [time, streams]."""
    predictions: int
    """StreamWindows.predictions of the whole text."""


class StreamWindows(Dataset[tuple[Tensor, Tensor]]):
    """Windows over parallel streams of one text: item i is (inputs, targets), each [time, streams].

    Stream s holds floor(len / streams) tokens from position round(s * len / streams), as in the authors' code.

    Args:
        tokens: ids [tokens].
        streams: number of streams that run in parallel, the batch size.
        window: time steps of an item.
        keep_partial: also give the last, shorter window (evaluation does, training as in the authors' code does not).

    Raises:
        DataError: a stream is too short for one window.
    """

    def __init__(self, tokens: Tensor, streams: int, window: int, keep_partial: bool) -> None:
        length = len(tokens) // streams
        least = streams * (2 if keep_partial else window + 1)
        if len(tokens) < least:
            raise DataError(
                f"{len(tokens):,} tokens are too few for {streams} streams (batch_size) of one window of {window} "
                f"(unroll), which need {least:,}"
            )
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
        train_fraction: part of the training text that is trained on, above 0: its first sentences, the last one whole.
            The vocabulary is that of the whole text, so that perplexities of other parts are of the same predictions.
    """

    def __init__(self, source: str, data: Path, batch_size: int, unroll: int, train_fraction: float = 1.0) -> None:
        super().__init__()
        self.source, self.data, self.batch_size, self.unroll = source, data, batch_size, unroll
        self.train_fraction = train_fraction
        self.vocabulary = Vocabulary([])
        self.tokens: dict[str, Tensor] = {}
        self.read: dict[str, Any] = {}

    def prepare_data(self) -> None:
        """Download a named source where it is missing."""
        for source in (PENN_TREEBANK, STATE_OF_THE_UNION):
            if source.name == self.source:
                source.fetch(self.data)

    def setup(self, stage: str | None = None) -> None:
        """Read and encode the text; once.

        Raises:
            DataError: see read_corpus; also if a split is too short for the windows that are read of it, of which those
                of the final evaluation would else be missed when the training is done.
        """
        if self.tokens:
            return
        corpus = read_corpus(self.source, self.data)
        self.sha256 = corpus.sha256
        counts = Counter(corpus.tokens("train"))
        require_words(counts, self.source, "separate the words by spaces")
        self.vocabulary = Vocabulary.from_counts(counts)
        self.read = corpus.details
        self.tokens = {split: torch.tensor(self.vocabulary.encode(corpus.tokens(split))) for split in SPLITS}
        if self.train_fraction < 1:
            self._cut()
        for split in ("train", "validation"):
            self._parallel(split)
        every = len(self.tokens["train"])
        if (rest := every - self.units_per_epoch) > NOTED_REST * every:
            window = f"{self.batch_size} x {self.unroll}"
            note = f"train: {rest:,} of {every:,} tokens fill no window of {window} and are not trained on"
            self.read = {**self.read, "notes": [*self.read["notes"], note]}

    def _cut(self) -> None:
        """Keep the first sentences of the training text, up to the end of the one that completes the fraction."""
        tokens = self.tokens["train"]
        ends = (tokens == self.vocabulary.ids[EOS]).nonzero()[:, 0] + 1
        place = int(torch.searchsorted(ends, math.ceil(self.train_fraction * len(tokens))))
        self.tokens["train"] = tokens[: int(ends[place])]
        whole = self.sha256
        self.sha256 = hashlib.sha256(f"{whole} {len(self.tokens['train'])}".encode()).hexdigest()
        note = f"train: the first {len(self.tokens['train']):,} of {len(tokens):,} tokens are trained on"
        self.read = {**self.read, "notes": [*self.read["notes"], note], "whole_text_sha256": whole}

    @property
    def details(self) -> dict[str, Any]:
        """What was read, and the share of each split's tokens that are unknown words, marked ones included."""
        unknown = self.vocabulary.ids[UNK]
        shares = {name: float((ids == unknown).double().mean()) for name, ids in self.tokens.items()}
        return {**self.read, "unknown_words": shares}

    @property
    def units_per_epoch(self) -> int:
        """Tokens trained on in an epoch."""
        return len(self.train_dataloader()) * self.batch_size * self.unroll

    def _exact(self, split: str) -> DataLoader[tuple[Tensor, Tensor]]:
        return _loader(StreamWindows(self.tokens[split], streams=1, window=EVALUATION_WINDOW, keep_partial=True))

    def _parallel(self, split: str) -> StreamWindows:
        """A text in whole windows of parallel streams, as the training text is read and the authors read validation."""
        try:
            return StreamWindows(self.tokens[split], self.batch_size, self.unroll, keep_partial=False)
        except DataError as error:
            raise DataError(
                f"{self.source}, {split}: {error}; take a longer text, or smaller values of these"
            ) from error

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Windows in the order of the text."""
        return _loader(self._parallel("train"))

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """The whole validation text as one stream, nothing dropped at the end."""
        return self._exact("validation")

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """The final evaluation: validation and test exactly, the training text, validation as the authors window it."""
        convention = self._parallel("validation")

        def with_divisor(window: Any) -> ConventionBatch:
            return ConventionBatch(window[0], window[1], convention.predictions)

        last = DataLoader(convention, batch_size=None, collate_fn=with_divisor)
        training = StreamWindows(self.tokens["train"], self.batch_size, self.unroll, keep_partial=True)
        return [self._exact("validation"), self._exact("test"), _loader(training), last]


def _loader(windows: StreamWindows) -> DataLoader[tuple[Tensor, Tensor]]:
    return DataLoader(windows, batch_size=None, shuffle=False)
