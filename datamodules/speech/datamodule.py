"""Speech frames and their acoustic states, as batches of utterances of like length (paper section 4.2)."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from datamodules.base import IGNORE_INDEX, TaskData
from datamodules.errors import DataError
from datamodules.order import EpochSampler, added, mix, permutation
from datamodules.sources import SPLITS
from datamodules.speech.alignment import require_aligner
from datamodules.speech.notes import note_unknown_states
from datamodules.speech.preparation import Prepared, labels_of, majority, prepare, require_splits, require_states
from datamodules.speech.recorded import open_corpus

POOL = 16
"""Batches that are sorted by length together; larger pads less, smaller mixes better."""

Item = tuple[Tensor, Tensor]
Batch = tuple[Tensor, Tensor]


class Utterances(Dataset[Item]):
    """Utterances of a split: item i is features [frames + delay, values] and states [frames].

    With an output delay d the output at frame t + d stands for frame t, so an item has d frames more of features:
    those that follow in the utterance, zeros after its end.

    Args:
        prepared: all utterances.
        split: train, validation or test.
        delay: frames of output delay.
        longest: frames from which on an utterance is cut into pieces; None keeps all whole.
    """

    def __init__(self, prepared: Prepared, split: str, delay: int, longest: int | None = None) -> None:
        self.features, self.delay = prepared.features, delay
        self.labels = torch.from_numpy(prepared.labels)
        self.pieces: list[tuple[int, int, int]] = []
        """First frame, end, and end of the utterance it is of."""
        begin = 0
        for length, own in zip(prepared.lengths, prepared.splits, strict=True):
            if own == split:
                step = length if longest is None else math.ceil(length / math.ceil(length / longest))
                self.pieces += [
                    (at, min(at + step, begin + length), begin + length) for at in range(begin, begin + length, step)
                ]
            begin += length

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index: int) -> Item:
        begin, end, last = self.pieces[index]
        features = torch.from_numpy(self.features[begin : min(end + self.delay, last)].astype(np.float32))
        missing = end + self.delay - begin - len(features)
        return torch.cat([features, features.new_zeros(missing, features.shape[1])]), self.labels[begin:end]

    def length(self, index: int) -> int:
        """Frames of an item."""
        begin, end, _ = self.pieces[index]
        return end - begin


def collate(items: list[Item]) -> Batch:
    """Features [time + delay, batch, values] and states [time, batch], padded at the end of time."""
    features, states = zip(*items, strict=True)
    return pad_sequence(list(features)), pad_sequence(list(states), padding_value=IGNORE_INDEX)


class LengthBatches(EpochSampler[list[int]]):
    """Batches of utterances of like length, in order of length or, with a seed, in another order each epoch.

    Args:
        dataset: utterances.
        batch_size: utterances of a batch.
        seed: seed of the order.
    """

    def __init__(self, dataset: Utterances, batch_size: int, seed: int | None = None) -> None:
        super().__init__(seed, added)
        self.dataset, self.batch_size = dataset, batch_size

    @property
    def sampler(self) -> "LengthBatches":
        """This sampler itself: Lightning tells the epoch to the `sampler` of a batch sampler."""
        return self

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Batches of indices; lazily, since Lightning may ask for the iterator before it tells the epoch."""
        generator = self.generator()
        if generator is None:
            yield from self._cut(sorted(range(len(self.dataset)), key=self.dataset.length))
            return
        indices = permutation(len(self.dataset), generator)
        pool = POOL * self.batch_size
        batches = [
            batch
            for begin in range(0, len(indices), pool)
            for batch in self._cut(sorted(indices[begin : begin + pool], key=self.dataset.length))
        ]
        for index in permutation(len(batches), generator):
            yield batches[index]

    def _cut(self, indices: list[int]) -> list[list[int]]:
        return [indices[begin : begin + self.batch_size] for begin in range(0, len(indices), self.batch_size)]


class SpeechData(TaskData):
    """Utterances of a source as frames with their acoustic states.

    Args:
        source: "espeak", "asterisk-en", "librispeech", "samromur", or a folder of audio with transcripts.tsv.
        data: folder that holds the named sources, and the cache.
        batch_size: pieces of utterances trained in parallel.
        unroll: frames of a piece: longer utterances are cut for training; evaluation reads them whole.
        output_delay: frames by which outputs come later than what they stand for (Sak et al. 2014).
        sample_rate: samples per second that audio is resampled to.
        aligner: "pocketsphinx", "mms_fa" or a TorchScript CTC model; the source's usual one if empty.
    """

    def __init__(
        self,
        source: str,
        data: Path,
        batch_size: int,
        unroll: int,
        output_delay: int,
        sample_rate: int,
        aligner: str = "",
    ) -> None:
        super().__init__()
        self.source = source
        self.corpus, self.data, self.aligner, self.sample_rate = open_corpus(source, data), data, aligner, sample_rate
        self.batch_size, self.unroll, self.output_delay = batch_size, unroll, output_delay
        self.prepared: Prepared | None = None

    def prepare_data(self) -> None:
        """Download what is missing, align it and compute features, unless that has been done."""
        if self.prepared is None:  # Lightning asks again before each of its loops
            self.corpus.fetch()
            self.setup()

    def setup(self, stage: str | None = None) -> None:
        """Open the prepared data; once, since to find it every file of the corpus is read for its checksum."""
        if self.prepared is None:
            require_aligner(self.aligner)
            ready = prepare(self.corpus, self.aligner, self.sample_rate, self.data, self.source)
            require_splits(ready, self.source, self.corpus)
            require_states(ready, self.source)
            self.prepared, self.sha256 = ready, ready.sha256

    @property
    def ready(self) -> Prepared:
        """The prepared data.

        Raises:
            DataError: setup has not been called.
        """
        if self.prepared is None:
            raise DataError("speech data is used before setup()")
        return self.prepared

    @property
    def states(self) -> list[str]:
        """Names of the acoustic states."""
        return self.ready.states

    @property
    def features(self) -> int:
        """Values of a frame."""
        return int(self.ready.features.shape[1])

    @property
    def details(self) -> dict[str, Any]:
        """Utterances and frames used and left out, phrases that splits share, and what the majority class scores."""
        ready = self.ready
        accuracy = majority(ready)
        labels = {split: labels_of(ready, split) for split in SPLITS}
        read = {split: {"utterances": ready.splits.count(split), "frames": len(labels[split])} for split in SPLITS}
        return {
            "read": read,
            "notes": [*self.corpus.notes, *ready.notes, *note_unknown_states(labels, ready.states)],
            "utterances": {split: ready.splits.count(split) for split in SPLITS},
            "frames": {split: len(labels[split]) for split in SPLITS},
            "states": len(ready.states),
            "shared_phrases": ready.shared_phrases,
            "left_out": ready.reasons,
            "left_out_utterances": ready.left_out,
            "baselines": {
                "majority class": {
                    "train_frame_accuracy": accuracy["train"],
                    "train_frame_accuracy_without_dropout": accuracy["train"],
                    "validation_frame_accuracy": accuracy["validation"],
                    "test_frame_accuracy": accuracy["test"],
                }
            },
        }

    @property
    def units_per_epoch(self) -> int:
        """Frames trained on in an epoch."""
        return len(labels_of(self.ready, "train"))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Pieces of training utterances, in another order each epoch."""
        return self._loader(Utterances(self.ready, "train", self.output_delay, self.unroll), mix(self.seed, 0))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Whole validation utterances."""
        return self._whole("validation")

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """The final evaluation: whole validation and test utterances, then the training pieces."""
        training = self._loader(Utterances(self.ready, "train", self.output_delay, self.unroll))
        return [self._whole("validation"), self._whole("test"), training]

    def _whole(self, split: str) -> DataLoader[Batch]:
        return self._loader(Utterances(self.ready, split, self.output_delay))

    def _loader(self, utterances: Utterances, seed: int | None = None) -> DataLoader[Batch]:
        return DataLoader(
            utterances, batch_sampler=LengthBatches(utterances, self.batch_size, seed), collate_fn=collate
        )
