"""A parallel text for translation: read, tokenized, numbered, and given out in batches."""

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from typing_extensions import override

from datamodules.base import TaskData
from datamodules.errors import DataError
from datamodules.order import epoch_generator, multiplied
from datamodules.translation.batches import POOL, PairBatch, PairBatches, loader
from datamodules.translation.encoded_pairs import (
    Chunk,
    Encoded,
    EncodedPairs,
    encoded_pairs,
    tokenize_pairs,
)
from datamodules.translation.shared_pairs import marks_of, notes_on_shared, shared
from datamodules.translation.sources import BIBLE, MULTI30K, PHRASES, ParallelText, WithoutEos, read_parallel_text
from datamodules.translation.tokenization import Words, note_not_joined
from datamodules.vocabulary import EOS, UNK, Vocabulary, note_same


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
        self.notes = survey.notes + note_same(survey.same, survey.pairs, "train: ")
        digest, before = hashlib.sha256(survey.sha256.encode()), marks_of([])
        for split in ("validation", "test"):
            stripped = WithoutEos(text.splits[split], f"{text.name}, {split}")
            pairs = list(stripped)
            digest.update("".join("\t".join(pair) + "\n" for pair in pairs).encode())
            words = words_of_pairs(pairs, self.languages, f"{text.name}: {split}")
            same, count = sum(source == target for source, target in words), len(words)
            self.notes += stripped.notes(f"{split}: ") + note_same(same, count, f"{split}: ")
            marks = marks_of(words)
            self.notes += notes_on_shared(split, shared(marks, self.training.marks()), count, "training")
            self.notes += notes_on_shared(split, shared(marks, [before]), count, "validation")
            before = marks
            self.sentences[split] = [
                (self.source_vocabulary.encode(source), self.target_vocabulary.encode(target))
                for source, target in words
            ]
            self.texts[split] = pairs
        self.notes += note_not_joined([target for _, target in self.texts["test"]], self.languages[1], "test: ")
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

        return loader(PairBatches(pairs, self.batch_size, self.target_vocabulary.ids[EOS], generator))

    def val_dataloader(self) -> DataLoader[PairBatch]:
        """The whole validation set."""
        return self._exact("validation")

    def test_dataloader(self) -> list[DataLoader[PairBatch]]:
        """The final evaluation: validation and test set, then the training set, of a large one its first POOL pairs."""
        pairs = self.sentences.get("train") or list(itertools.islice(self.training, POOL))
        training = PairBatches(pairs, self.batch_size, self.target_vocabulary.ids[EOS])
        return [self._exact("validation"), self._exact("test"), loader(training)]

    def _exact(self, split: str) -> DataLoader[PairBatch]:
        eos = self.target_vocabulary.ids[EOS]
        return loader(PairBatches(self.sentences[split], self.batch_size, eos, texts=self.texts[split]))


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
