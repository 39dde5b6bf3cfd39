"""Sentence pairs in batches of one source length, read in a stream (Sutskever et al. 2014)."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset
from typing_extensions import override

from datamodules.base import IGNORE_INDEX, TaskData
from datamodules.errors import DataError
from datamodules.order import epoch_generator, multiplied, permutation
from datamodules.translation.encoded_pairs import (
    Chunk,
    Encoded,
    EncodedPairs,
    Survey,
    WithoutEos,
    Words,
    encoded_pairs,
    tokenize_pairs,
)
from datamodules.translation.sources import BIBLE, MULTI30K, PHRASES, ParallelText, read_parallel_text
from datamodules.vocabulary import EOS, UNK, Vocabulary, note_ends, note_invisible, note_shared

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


class TranslationData(TaskData):
    """A parallel text as batches of sentence pairs.

    Args:
        source: "phrases", "bible", "multi30k", "wmt14", or a folder; see read_parallel_text.
        data: folder that holds the named sources.
        languages: languages of source and target.
        batch_size: sentence pairs of a batch; the last batch of a length in a pool may hold fewer.
        max_length: words of the longest training sentence, on either side; longer pairs are left out and counted.
        source_words: the most frequent words that the source vocabulary keeps.
        target_words: the most frequent words that the target vocabulary keeps.
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
        self._training: EncodedPairs | None = None
        self.left_out: dict[str, int] = {}
        """Pairs that are in no split, by the reason."""
        self.notes: list[str] = []
        self.texts: dict[str, list[tuple[str, str]]] = {}
        """Validation and test set as they are written."""

    def prepare_data(self) -> None:
        """Download a named source where it is missing, and tokenize the training text unless that has been done."""
        if self.sentences:  # set up already: Lightning asks again before each of its loops
            return
        for source in (PHRASES, BIBLE, MULTI30K):
            if source.name == self.source:
                source.fetch(self.data)
        self._training = self._encoded(read_parallel_text(self.source, self.data, self.languages))

    def setup(self, stage: str | None = None) -> None:
        """Read the text once for its vocabularies, counts and checksum; encode the splits that are kept in memory."""
        if self.sentences:
            return
        text = read_parallel_text(self.source, self.data, self.languages)
        self._training = self._training or self._encoded(text)
        self.survey = survey = self.training.survey
        self.left_out = {**text.left_out, **survey.left_out}
        self.source_vocabulary = Vocabulary(survey.source_words)
        self.target_vocabulary = Vocabulary(survey.target_words)
        self._note("train", survey, [], [])
        digest, before = hashlib.sha256(survey.sha256.encode()), list[Words]()
        for split in ("validation", "test"):
            stripped = WithoutEos(text.splits[split], f"{text.name}, {split}")
            pairs = list(stripped)
            digest.update("".join("\t".join(pair) + "\n" for pair in pairs).encode())
            words = words_of_pairs(pairs, self.languages, f"{text.name}: {split}")
            self._note(split, stripped, words, before)
            before = words
            self.sentences[split] = [
                (self.source_vocabulary.encode(source), self.target_vocabulary.encode(target))
                for source, target in words
            ]
            self.texts[split] = pairs
        self.sha256 = digest.hexdigest()
        if survey.pairs <= POOL:
            self.sentences["train"] = list(self.training)

    @property
    def training(self) -> EncodedPairs:
        """The training text as numbers.

        Raises:
            DataError: setup has not been called.
        """
        if self._training is None:
            raise DataError("translation data is used before setup()")
        return self._training

    def _note(self, split: str, read: Survey | WithoutEos, pairs: list[Words], before: list[Words]) -> None:
        """Note what was not taken as it stands, and pairs that are in the training text or in the split before too."""
        self.notes += note_ends(read.ended, "lines", f"{split}: ") + note_invisible(read.invisible, f"{split}: ")
        self.notes += note_shared(split, self.training.count_of(pairs), len(pairs), "pairs", "training")
        self.notes += note_shared(split, EncodedPairs.count_within(pairs, before), len(pairs), "pairs", "validation")

    def _encoded(self, text: ParallelText) -> EncodedPairs:
        limits = (self.max_length, self.source_words, self.target_words)
        return encoded_pairs(text.splits["train"], text.name, self.languages, *limits, self.data)

    @property
    def details(self) -> dict[str, Any]:
        """What was read and left out, sizes of vocabularies, shares of unknown words in the targets."""
        vocabularies = {"source": len(self.source_vocabulary), "target": len(self.target_vocabulary)}
        splits: dict[str, Iterable[Encoded]] = {"train": self.training, **self.sentences}
        read = {"train": {"pairs": self.survey.pairs, **self.survey.read}}
        for split in self.texts:
            sources, targets = zip(*self.sentences[split], strict=True)
            words = {"source words": sum(map(len, sources)), "target words": sum(map(len, targets))}
            read[split] = {"pairs": len(sources), **words}
        return {
            "read": read,
            "notes": self.notes,
            "pairs": self.survey.pairs,
            "left_out": self.left_out,
            "vocabulary": vocabularies,
            "training_pairs_evaluated": min(self.survey.pairs, POOL),
            "unknown_words": {split: unknown_share(pairs, self.target_vocabulary) for split, pairs in splits.items()},
        }

    @property
    def units_per_epoch(self) -> int:
        """Target tokens trained on in an epoch, `<eos>` included."""
        return self.survey.target_tokens

    @override
    def size(self, batch: PairBatch) -> int:
        return len(batch.places)

    @override
    def share(self, batch: PairBatch, sequences: slice) -> PairBatch:
        shared: PairBatch = super().share(batch, sequences)
        return shared._replace(places=batch.places[sequences], texts=batch.texts[sequences])

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Batches of an order that follows from the run's seed and the epoch."""
        pairs = self.sentences.get("train", self.training)

        def generator() -> torch.Generator:  # called at the start of each epoch
            return epoch_generator(multiplied, self.seed, self.epoch)

        return _loader(PairBatches(pairs, self.batch_size, self.target_vocabulary.ids[EOS], generator))

    def val_dataloader(self) -> DataLoader[PairBatch]:
        """The whole validation set."""
        return self._exact("validation")

    def test_dataloader(self) -> list[DataLoader[PairBatch]]:
        """The final evaluation: validation and test set, then the training set, of a large one its first POOL pairs."""
        pairs = self.sentences.get("train") or list(itertools.islice(self.training, POOL))
        training = PairBatches(pairs, self.batch_size, self.target_vocabulary.ids[EOS])
        return [self._exact("validation"), self._exact("test"), _loader(training)]

    def _exact(self, split: str) -> DataLoader[PairBatch]:
        eos = self.target_vocabulary.ids[EOS]
        return _loader(PairBatches(self.sentences[split], self.batch_size, eos, texts=self.texts[split]))


def words_of_pairs(pairs: Chunk, languages: tuple[str, str], name: str) -> list[Words]:
    """The words of sentence pairs for evaluation, which leaves none out.

    Args:
        pairs: the pairs.
        languages: languages of source and target.
        name: name of the text in messages.

    Raises:
        DataError: a side of a pair has no word, or there is no pair.
    """
    if not pairs:
        raise DataError(f"{name} is empty; expected one sentence a line")
    words = tokenize_pairs(pairs, languages)
    for number, sides in enumerate(words, 1):
        if not all(sides):
            raise DataError(f"{name} pair {number} has an empty side, without a word; remove it from both files")
    return words


def unknown_share(pairs: Iterable[Encoded], vocabulary: Vocabulary) -> float:
    """Share of unknown words among the tokens of the target sentences, `<eos>` included."""
    unknown, tokens, id = 0, 0, vocabulary.ids[UNK]
    for _, target in pairs:
        unknown += target.count(id)
        tokens += len(target) + 1
    return unknown / tokens


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


def _loader(batches: PairBatches) -> DataLoader[PairBatch]:
    return DataLoader(batches, batch_size=None)
