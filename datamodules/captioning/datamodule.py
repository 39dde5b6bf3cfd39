"""Pictures as vectors, with their captions (Vinyals et al. 2014)."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from datamodules.base import IGNORE_INDEX, TaskData
from datamodules.captioning.examples import CaptionSet, Example
from datamodules.captioning.features import Features, features_of
from datamodules.captioning.reading import read_captions
from datamodules.captioning.sources import NAMED, OPENMOJI, SPLITS
from datamodules.errors import DataError
from datamodules.order import EpochSampler, hashed, permutation
from datamodules.vocabulary import EOS, UNK, Vocabulary
from datamodules.words import require_words

PICTURES_AT_ONCE = 100
"""Test pictures captioned at once."""


@dataclass(frozen=True)
class CaptionBatch:
    """Captions, each with its picture; shorter ones are padded at the end."""

    features: Tensor
    """[batch, size]."""
    inputs: Tensor
    """Ids of `<eos>` and the words [time, batch]."""
    targets: Tensor
    """Ids of the words and `<eos>` [time, batch], IGNORE_INDEX after it."""

    def to(self, device: torch.device) -> "CaptionBatch":
        """The same batch on a device."""
        return CaptionBatch(self.features.to(device), self.inputs.to(device), self.targets.to(device))

    def share(self, some: slice) -> "CaptionBatch":
        """Some of its captions."""
        return CaptionBatch(self.features[some], self.inputs[:, some], self.targets[:, some])


@dataclass(frozen=True)
class PictureBatch:
    """Pictures to caption, with their captions by people."""

    ids: list[str]
    features: Tensor
    """[batch, size]."""
    references: list[tuple[str, ...]]

    def to(self, device: torch.device) -> "PictureBatch":
        """The same batch on a device."""
        return PictureBatch(self.ids, self.features.to(device), self.references)

    def share(self, some: slice) -> "PictureBatch":
        """Some of its pictures."""
        return PictureBatch(self.ids[some], self.features[some], self.references[some])


class Captions(Dataset[tuple[str, list[int]]]):
    """Every caption of some pictures: item i is a picture's id and the ids of the words."""

    def __init__(self, examples: Sequence[Example], vocabulary: Vocabulary) -> None:
        self.items = [
            (example.picture.id, vocabulary.encode(caption.split()))
            for example in examples
            for caption in example.captions
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[str, list[int]]:
        return self.items[index]


class ShuffledAnew(EpochSampler[int]):
    """Places of so many captions, in another order each epoch."""

    def __init__(self, length: int, seed: int) -> None:
        super().__init__(seed, hashed)
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        return iter(permutation(self.length, self.generator()))


class CaptionData(TaskData):
    """Captioned pictures: each caption is a training example, each picture is captioned once in the final evaluation.

    Args:
        source: "scenes", "openmoji", "flickr8k", "flickr8k-1k", "mscoco", or a folder, see read_captions.
        data: folder that holds the named sources; takes the features extracted, in DATA/features.
        batch_size: captions trained on at once.
        features: "efficientnet-lite0", "googlenet", "descriptor", or the path of an .npz, see features_of.
        min_count: training occurrences below which a word becomes `<unk>`.
    """

    def __init__(self, source: str, data: Path, batch_size: int, features: str, min_count: int) -> None:
        super().__init__()
        self.source, self.data, self.batch_size = source, data, batch_size
        self.feature_source, self.min_count = features, min_count
        self.vocabulary = Vocabulary([])
        self.captions: dict[str, Captions] = {}
        self._set: CaptionSet | None = None
        self._features: Features | None = None

    @property
    def examples(self) -> dict[str, tuple[Example, ...]]:
        """Split to captioned pictures; reads the source once."""
        if self._set is None:
            self._set = read_captions(self.source, self.data)
            for split in SPLITS:
                if not self._set.splits[split]:
                    raise DataError(f"{self.source}: no picture in the {split} set; there are too few of them")
        return self._set.splits

    @property
    def features(self) -> Features:
        """Vectors of all pictures; extracted where the data folder has none yet."""
        if self._features is None:
            pictures = [example.picture for split in SPLITS for example in self.examples[split]]
            known = self.source in NAMED
            place = Path(self.source).resolve()
            name = self.source if known else f"{place.name}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
            self._features = features_of(pictures, self.feature_source, self.data, name)
        return self._features

    def prepare_data(self) -> None:
        """Download a named source where it is missing, and extract the features that are missing."""
        if self.source == OPENMOJI.name:
            OPENMOJI.fetch(self.data)
        _ = self.features

    def setup(self, stage: str | None = None) -> None:
        """Encode the captions; once."""
        if self.captions:
            return
        training = [caption for example in self.examples["train"] for caption in example.captions]
        counts = Counter(" ".join(training).split())
        self.vocabulary = Vocabulary.from_counts(counts, self.min_count)
        kept = {word: counts[word] for word in self.vocabulary.words}
        require_words(kept, self.source, f"words must occur {self.min_count} times, separated by spaces")
        self.captions = {split: Captions(self.examples[split], self.vocabulary) for split in SPLITS}
        digest = hashlib.sha256(self.features.sha256.encode())
        for split in SPLITS:
            for example in self.examples[split]:
                line = "\t".join((split, example.picture.id, example.mark or example.picture.stamp, *example.captions))
                digest.update(line.encode() + b"\n")
        self.sha256 = digest.hexdigest()

    @override
    def picture(self, sample: Mapping[str, Any]) -> Image:
        return next(one.picture for one in self.examples["test"] if one.picture.id == sample["picture"]).read()

    @property
    def details(self) -> dict[str, Any]:
        """The split of the data, what was used and left out, and the share of unknown words, `<eos>` counted too."""
        assert self._set is not None
        unknown = self.vocabulary.ids[UNK]
        read, unknown_words = {}, {}
        for split, captions in self.captions.items():
            tokens = sum(len(ids) + 1 for _, ids in captions.items)
            unknown_words[split] = sum(ids.count(unknown) for _, ids in captions.items) / tokens
            counted = {"pictures": len(self.examples[split]), "captions": len(captions)}
            read[split] = {**counted, "words": tokens - len(captions)}
        return {
            "read": read,
            **self._set.details,
            "pictures": {split: len(self.examples[split]) for split in SPLITS},
            "captions": {split: len(self.captions[split]) for split in SPLITS},
            "words": len(self.vocabulary),
            "unknown_words": unknown_words,
            "features": {
                "from": self.feature_source,
                "network": self.features.network,
                "size": self.features.size,
                **({"weights": self.features.origin} if self.features.origin else {}),
            },
        }

    @property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [size] of the training pictures' vectors."""
        vectors = self.features.of([example.picture.id for example in self.examples["train"]]).double()
        return vectors.mean(dim=0).float(), vectors.std(dim=0, unbiased=False).float()

    @property
    def units_per_epoch(self) -> int:
        """Words trained on in an epoch, `<eos>` included."""
        return sum(len(tokens) + 1 for _, tokens in self.captions["train"].items)

    @override
    def size(self, batch: CaptionBatch | PictureBatch) -> int:
        return len(batch.features)

    @override
    def share(self, batch: CaptionBatch | PictureBatch, sequences: slice) -> CaptionBatch | PictureBatch:
        return batch.share(sequences)

    def collate(self, items: Sequence[tuple[str, list[int]]]) -> CaptionBatch:
        """Put captions side by side, padded at the end."""
        eos, longest = self.vocabulary.ids[EOS], max(len(tokens) for _, tokens in items) + 1
        inputs = torch.full((longest, len(items)), eos)
        targets = torch.full((longest, len(items)), IGNORE_INDEX)
        for column, (_, tokens) in enumerate(items):
            ids = torch.tensor([*tokens, eos])
            inputs[1 : len(ids), column], targets[: len(ids), column] = ids[:-1], ids
        return CaptionBatch(self.features.of([id for id, _ in items]), inputs, targets)

    def collate_pictures(self, examples: Sequence[Example]) -> PictureBatch:
        """Put pictures side by side, with all their captions."""
        ids = [example.picture.id for example in examples]
        return PictureBatch(ids, self.features.of(ids), [example.captions for example in examples])

    def _in_order(self, split: str) -> DataLoader[Any]:
        return DataLoader(self.captions[split], batch_size=256, collate_fn=self.collate)

    def train_dataloader(self) -> DataLoader[Any]:
        """All captions, in another order each epoch."""
        order = ShuffledAnew(len(self.captions["train"]), torch.initial_seed())
        return DataLoader(
            self.captions["train"],
            self.batch_size,
            sampler=order,
            collate_fn=self.collate,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """All captions, in order."""
        return self._in_order("validation")

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """The final evaluation: every caption of the validation, test and training set, then the test pictures."""
        return [*(self._in_order(split) for split in ("validation", "test", "train")), self.pictures("test")]

    def pictures(self, split: str) -> DataLoader[Any]:
        """The pictures of a split, each once."""
        examples: Any = self.examples[split]
        return DataLoader(examples, batch_size=PICTURES_AT_ONCE, collate_fn=self.collate_pictures)
