"""Sentence pairs in batches of one source length, read in a stream (Sutskever et al. 2014)."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset

from datamodules.base import IGNORE_INDEX
from datamodules.order import permutation
from datamodules.translation.encoded_pairs import Encoded, EncodedPairs

POOL = 100_000
"""Sentence pairs shuffled at once: a corpus up to this size is kept encoded, a larger one streams through."""


class PairBatch(NamedTuple):
    """Sentence pairs whose sources have the same length, so that the encoder reads no padding."""

    source: Tensor
    """Ids [source time, batch], in the order the encoder reads them: reversed."""
    inputs: Tensor
    """Input of the decoder: `<eos>` and the target's words, [time, batch]."""
    targets: Tensor
    """Words that it predicts: the target's and `<eos>`, [time, batch]; IGNORE_INDEX where a shorter one has ended."""
    places: list[int]
    """Place of each pair in its split, [batch]."""
    texts: list[tuple[str, str]]
    """Source and target as they are written, [batch], where the batch is for evaluation; empty in training."""
    progress: float
    """Part of the split's pairs that has been read with this batch, 1 with the last one."""


class PairBatches(IterableDataset[PairBatch]):
    """Batches of sentence pairs of one source length; of the pairs one pool at a time need be in memory.

    Args:
        pairs: encoded; each iteration begins anew.
        batch_size: pairs of a batch, at most.
        eos: id of `<eos>` in the target vocabulary.
        generator: returns the random numbers of an epoch, which shuffle pairs within a pool and then its batches; None
            keeps the order.
        texts: the same pairs as they are written, for evaluation.
    """

    def __init__(
        self,
        pairs: list[Encoded] | EncodedPairs,
        batch_size: int,
        eos: int,
        generator: Callable[[], torch.Generator] | None = None,
        texts: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.pairs, self.batch_size, self.eos, self.generator = pairs, batch_size, eos, generator
        self.texts = texts

    def __iter__(self) -> Iterator[PairBatch]:
        generator = self.generator() if self.generator else None
        indexed, read = enumerate(self.pairs), 0
        while pool := list(itertools.islice(indexed, POOL)):
            pool = [pool[place] for place in permutation(len(pool), generator)]
            by_length: dict[int, list[tuple[int, Encoded]]] = {}
            for entry in pool:
                by_length.setdefault(len(entry[1][0]), []).append(entry)
            batches = [
                group[begin : begin + self.batch_size]
                for _, group in sorted(by_length.items())
                for begin in range(0, len(group), self.batch_size)
            ]
            for place in permutation(len(batches), generator):
                read += len(batches[place])
                yield collate(batches[place], self.eos, self.texts, read / len(self.pairs))


def collate(
    batch: list[tuple[int, Encoded]], eos: int, texts: Sequence[tuple[str, str]] = (), progress: float = 0.0
) -> PairBatch:
    """Make a batch of sentence pairs whose sources have the same length.

    Args:
        batch: place of each pair in its split, and the pair.
        eos: id of `<eos>` in the target vocabulary.
        texts: the pairs of the whole split as they are written; none in training.
        progress: see PairBatch.
    """
    source = torch.tensor([pair[0][::-1] for _, pair in batch]).T.contiguous()
    targets = [torch.tensor([*target, eos]) for _, (_, target) in batch]
    inputs = [torch.tensor([eos, *target]) for _, (_, target) in batch]
    return PairBatch(
        source,
        pad_sequence(inputs, padding_value=eos),
        pad_sequence(targets, padding_value=IGNORE_INDEX),
        [index for index, _ in batch],
        [texts[index] for index, _ in batch] if texts else [],
        progress,
    )


def loader(batches: PairBatches) -> DataLoader[PairBatch]:
    """A loader that gives batches as they are."""
    return DataLoader(batches, batch_size=None)
