"""Sentence pairs in batches of one source length, read in a stream (Sutskever et al. 2014)."""

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm
from typing_extensions import override

from datamodules.base import TaskData
from datamodules.parallel_text import (
    BIBLE,
    MULTI30K,
    WMT14,
    AlignedFiles,
    Pairs,
    ParallelText,
    newstest,
    read_parallel_text,
)
from datamodules.sources import DataError
from datamodules.tokenization import tokenize
from datamodules.vocabulary import EOS, Vocabulary

IGNORED = -100
"""Target where a shorter sentence has ended: counts neither in the loss nor in a metric."""

POOL = 100_000
"""Sentence pairs shuffled at once: a corpus up to this size is kept encoded, a larger one streams through."""

MIN_COUNT = 2
"""Training occurrences below which a word becomes `<unk>`, so that `<unk>` is met in training."""

Encoded = tuple[list[int], list[int]]
"""Ids of a source and a target sentence, without `<eos>`."""


class PairBatch(NamedTuple):
    """Sentence pairs whose sources have the same length, so that the encoder reads no padding."""

    source: Tensor
    """Ids [source time, batch], in the order the encoder reads them: reversed."""
    inputs: Tensor
    """What the decoder reads: `<eos>` and the target's words, [time, batch]."""
    targets: Tensor
    """What it predicts: the target's words and `<eos>`, [time, batch]; IGNORED where a shorter one has ended."""
    places: list[int]
    """Place of each pair in its split, where that matters; [batch]."""


@dataclass(frozen=True)
class Survey:
    """What one pass over the training text finds."""

    source_words: list[str]
    target_words: list[str]
    pairs: int
    """Kept for training."""
    target_tokens: int
    """Of those pairs, `<eos>` included."""
    left_out: dict[str, int]
    """Reason to number of pairs."""
    sha256: str
    """Of the text read, kept or not."""


class TranslationData(TaskData):
    """A parallel text as batches of sentence pairs.

    Args:
        source: "bible", "multi30k", "wmt14", or a folder; see read_parallel_text.
        data: folder that holds the named sources.
        languages: of source and target.
        batch_size: sentence pairs of a batch; a length's last batch of a pool holds fewer.
        max_length: words of the longest training sentence, on either side; longer pairs are left out and counted.
        source_words: the most frequent words that the source vocabulary keeps.
        target_words: the same of the target.
    """

    def __init__(
        self,
        source: str,
        data: Path,
        languages: tuple[str, str],
        batch_size: int,
        max_length: int,
        source_words: int,
        target_words: int,
    ) -> None:
        super().__init__()
        self.source, self.data, self.languages = source, data, languages
        self.batch_size, self.max_length = batch_size, max_length
        self.source_words, self.target_words = source_words, target_words
        self.source_vocabulary = self.target_vocabulary = Vocabulary([])
        self.sentences: dict[str, list[Encoded]] = {}
        """Encoded validation and test set, and the training set when it is small enough."""
        self.references: list[str] = []
        """Target sentences of the test set, as they are written."""

    def prepare_data(self) -> None:
        """Download a named source where it is missing."""
        for source in (BIBLE, MULTI30K):
            if source.name == self.source:
                source.fetch(self.data)
        if self.source == WMT14:
            newstest(self.languages)

    def setup(self, stage: str | None = None) -> None:
        """Read the text once: vocabularies, counts, checksum; encode what is kept in memory."""
        if self.sentences:
            return
        text = read_parallel_text(self.source, self.data, self.languages)
        survey = self._survey(text)
        self.survey = survey
        self.source_vocabulary = Vocabulary(survey.source_words)
        self.target_vocabulary = Vocabulary(survey.target_words)
        self._train = text.splits["train"]
        digest = hashlib.sha256(survey.sha256.encode())
        for split in ("validation", "test"):
            pairs = list(text.splits[split])
            for number, pair in enumerate(pairs, start=1):
                digest.update("\t".join(pair).encode() + b"\n")
                if not all(part.strip() for part in pair):
                    raise DataError(f"{text.name}: {split} pair {number} has an empty side; remove it from both files")
            if not pairs:
                raise DataError(f"{text.name}: {split} is empty; expected one sentence a line")
            self.sentences[split] = [self.encode(*pair) for pair in pairs]
            if split == "test":
                self.references = [target for _, target in pairs]
                self.test_sources = [source for source, _ in pairs]
        self.sha256 = digest.hexdigest()
        if survey.pairs <= POOL:
            self.sentences["train"] = list(self._encoded_train())

    @property
    def details(self) -> dict[str, Any]:
        """What was left out of the training text, and the sizes of the vocabularies."""
        vocabularies = {"source": len(self.source_vocabulary), "target": len(self.target_vocabulary)}
        return {"pairs": self.survey.pairs, "left_out": self.survey.left_out, "vocabulary": vocabularies}

    @property
    def units_per_epoch(self) -> int:
        """Target tokens trained on in an epoch, `<eos>` included."""
        return self.survey.target_tokens

    def encode(self, source: str, target: str) -> Encoded:
        """Ids of a sentence pair."""
        first, second = self.languages
        return (
            self.source_vocabulary.encode(tokenize(source, first)),
            self.target_vocabulary.encode(tokenize(target, second)),
        )

    @override
    def size(self, batch: PairBatch) -> int:
        return len(batch.places)

    @override
    def share(self, batch: PairBatch, sequences: slice) -> PairBatch:
        source, inputs, targets = (tensor[:, sequences] for tensor in batch[:3])
        return PairBatch(source, inputs, targets, batch.places[sequences])

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Batches of an order that follows from the run's seed and the epoch."""
        pairs = self.sentences.get("train")
        stream = self._encoded_train if pairs is None else lambda: iter(pairs)
        return _loader(PairBatches(stream, self.batch_size, self.target_vocabulary.ids[EOS], self.epoch_generator))

    def val_dataloader(self) -> DataLoader[PairBatch]:
        """The whole validation set."""
        return self._exact("validation")

    def test_dataloader(self) -> list[DataLoader[PairBatch]]:
        """The final evaluation: validation and test set."""
        return [self._exact("validation"), self._exact("test")]

    def _exact(self, split: str) -> DataLoader[PairBatch]:
        pairs = self.sentences[split]
        return _loader(PairBatches(lambda: iter(pairs), self.batch_size, self.target_vocabulary.ids[EOS]))

    def _encoded_train(self) -> Iterator[Encoded]:
        for pair in self._train:
            source, target = self.encode(*pair)
            if source and target and max(len(source), len(target)) <= self.max_length:
                yield source, target

    def _survey(self, text: ParallelText) -> Survey:
        """One pass over the training text, or what an earlier one left in the data folder."""
        pairs = text.splits["train"]
        cache = self.data / ".cache" / f"translation-{self._cache_key(pairs)}.json"
        if cache.is_file():
            return Survey(**json.loads(cache.read_text(encoding="utf-8")))
        survey = take_survey(pairs, text.name, self.languages, self.max_length, self.source_words, self.target_words)
        if survey.pairs > POOL:
            try:
                cache.parent.mkdir(parents=True, exist_ok=True)
                scratch = cache.with_name(f"{cache.name}.{os.getpid()}")
                scratch.write_text(json.dumps(asdict(survey)), encoding="utf-8")
                os.replace(scratch, cache)
            except OSError:
                pass  # a data folder that cannot be written costs the time of another pass
        return survey

    def _cache_key(self, pairs: Pairs) -> str:
        """Changes with the files, by size and time, and with whatever decides what the survey finds."""
        paths = (pairs.source, pairs.target) if isinstance(pairs, AlignedFiles) else ()
        files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        parameters = (files, self.languages, self.max_length, self.source_words, self.target_words, MIN_COUNT)
        return hashlib.sha256(repr(parameters).encode()).hexdigest()[:16]


def take_survey(
    pairs: Pairs, name: str, languages: tuple[str, str], max_length: int, source_words: int, target_words: int
) -> Survey:
    """Read a training text once, line by line.

    Raises:
        DataError: nothing is left to train on.
    """
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    left_out: Counter[str] = Counter()
    digest = hashlib.sha256()
    kept = 0
    for pair in tqdm(pairs, desc=f"reading {name}", unit=" pairs", disable=None, delay=2, leave=False):
        digest.update("\t".join(pair).encode() + b"\n")
        words = [tokenize(text, language) for text, language in zip(pair, languages, strict=True)]
        if not all(words):
            left_out["empty on one side"] += 1
        elif max(map(len, words)) > max_length:
            left_out[f"longer than {max_length} words"] += 1
        else:
            kept += 1
            for counter, sentence in zip(counts, words, strict=True):
                counter.update(sentence)
    if not kept:
        raise DataError(f"{name}: no training pair is left of {sum(left_out.values()):,}: {dict(left_out) or 'empty'}")
    return Survey(
        source_words=Vocabulary.from_counts(counts[0], MIN_COUNT, source_words).words,
        target_words=Vocabulary.from_counts(counts[1], MIN_COUNT, target_words).words,
        pairs=kept,
        target_tokens=counts[1].total() + kept,
        left_out=dict(left_out),
        sha256=digest.hexdigest(),
    )


class PairBatches(IterableDataset[PairBatch]):
    """Batches of sentence pairs of one source length, from a stream of which one pool at a time is in memory.

    Args:
        stream: reads the encoded pairs from the beginning.
        batch_size: pairs of a batch, at most.
        eos: id of `<eos>` in the target vocabulary.
        generator: gives what shuffles this epoch, pairs within a pool and then its batches; None keeps the order.
    """

    def __init__(
        self,
        stream: Callable[[], Iterable[Encoded]],
        batch_size: int,
        eos: int,
        generator: Callable[[], torch.Generator] | None = None,
    ) -> None:
        self.stream, self.batch_size, self.eos, self.generator = stream, batch_size, eos, generator

    def __iter__(self) -> Iterator[PairBatch]:
        generator = self.generator() if self.generator else None
        indexed = enumerate(self.stream())
        while pool := list(itertools.islice(indexed, POOL)):
            pool = [pool[place] for place in order(len(pool), generator)]
            by_length: dict[int, list[tuple[int, Encoded]]] = {}
            for entry in pool:
                by_length.setdefault(len(entry[1][0]), []).append(entry)
            batches = [
                group[begin : begin + self.batch_size]
                for _, group in sorted(by_length.items())
                for begin in range(0, len(group), self.batch_size)
            ]
            for place in order(len(batches), generator):
                yield collate(batches[place], self.eos)


def order(count: int, generator: torch.Generator | None) -> list[int]:
    """A random order, or with no generator the given one."""
    return list(range(count)) if generator is None else torch.randperm(count, generator=generator).tolist()


def collate(batch: list[tuple[int, Encoded]], eos: int) -> PairBatch:
    """Tensors of sentence pairs whose sources have the same length."""
    source = torch.tensor([pair[0][::-1] for _, pair in batch]).T.contiguous()
    targets = [torch.tensor([*target, eos]) for _, (_, target) in batch]
    inputs = [torch.tensor([eos, *target]) for _, (_, target) in batch]
    return PairBatch(
        source,
        pad_sequence(inputs, padding_value=eos),
        pad_sequence(targets, padding_value=IGNORED),
        [index for index, _ in batch],
    )


def _loader(batches: PairBatches) -> DataLoader[PairBatch]:
    return DataLoader(batches, batch_size=None)
