"""Pictures as vectors, with their captions (Vinyals et al. 2014)."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from typing_extensions import override

from datamodules.base import IGNORE_INDEX, TaskData
from datamodules.captioning.examples import CaptionSet, Example, without_broken
from datamodules.captioning.features import Features, features_of
from datamodules.captioning.folds import FoldBatches, in_folds
from datamodules.captioning.reading import read_captions
from datamodules.captioning.sources import NAMED, OPENMOJI
from datamodules.errors import DataError
from datamodules.order import mix
from datamodules.sources import SPLITS
from datamodules.vocabulary import EOS, UNK, Vocabulary
from datamodules.words import require_words

PICTURES_AT_ONCE = 100
"""Test pictures captioned at once."""
CAPTIONS_AT_ONCE = 256
"""Captions evaluated at once."""
NAME_BYTES = 100
"""Most bytes of a folder's name that stand in the name of the file with the vectors of its pictures."""


@dataclass(frozen=True)
class CaptionBatch:
    """Captions of one fold, each with its picture; shorter ones are padded at the end."""

    features: Tensor
    """[batch, size]."""
    inputs: Tensor
    """Ids of `<eos>` and the words [time, batch]."""
    targets: Tensor
    """Ids of the words and `<eos>` [time, batch], IGNORE_INDEX after it."""
    fold: int = 0
    """Number of their fold."""

    def to(self, device: torch.device) -> "CaptionBatch":
        """The same batch on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("features", "inputs", "targets")}
        return replace(self, **moved)

    def share(self, some: slice) -> "CaptionBatch":
        """Some of its captions."""
        inputs, targets = self.inputs[:, some], self.targets[:, some]
        return replace(self, features=self.features[some], inputs=inputs, targets=targets)


@dataclass(frozen=True)
class PictureBatch:
    """Pictures of one fold to caption, with their captions by people."""

    ids: list[str]
    features: Tensor
    """[batch, size]."""
    references: list[tuple[str, ...]]
    fold: int = 0
    """Number of their fold."""

    def to(self, device: torch.device) -> "PictureBatch":
        """The same batch on a device."""
        return replace(self, features=self.features.to(device))

    def share(self, some: slice) -> "PictureBatch":
        """Some of its pictures."""
        return replace(self, ids=self.ids[some], features=self.features[some], references=self.references[some])


class Caption(NamedTuple):
    """A caption of a picture."""

    picture: str
    """Id of the picture."""
    tokens: list[int]
    """Ids of the words."""
    fold: int = 0
    """Number of its fold."""


class Captions(Dataset[Caption]):
    """Every caption of some pictures."""

    def __init__(self, examples: Sequence[Example], vocabulary: Vocabulary) -> None:
        self.items = [
            Caption(example.picture.id, vocabulary.encode(caption.split()), example.fold)
            for example in examples
            for caption in example.captions
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Caption:
        return self.items[index]


class CaptionData(TaskData):
    """Captioned pictures: each caption is a training example, each picture is captioned once in the final evaluation.

    Args:
        source: "scenes", "openmoji", "flickr8k", "flickr8k-1k", "mscoco", or a folder, see read_captions.
        data: folder that holds the named sources; takes the features extracted, in DATA/features.
        batch_size: captions trained on at once.
        features: "efficientnet-lite0", "googlenet", "descriptor", or the path of an .npz, see features_of.
        min_count: training occurrences below which a word becomes `<unk>`, in each fold.
        folds: number of folds that the pictures are put in, see in_folds; 1 keeps the splits of the source.
    """

    def __init__(self, source: str, data: Path, batch_size: int, features: str, min_count: int, folds: int = 1) -> None:
        super().__init__()
        self.source, self.data, self.batch_size, self.folds = source, data, batch_size, folds
        self.feature_source, self.min_count = features, min_count
        self.vocabulary = Vocabulary([])
        self.captions: dict[str, Captions] = {}
        self._set: CaptionSet | None = None
        self._features: Features | None = None

    @property
    def examples(self) -> dict[str, tuple[Example, ...]]:
        """Split to captioned pictures; reads the source once. Broken ones are among them until `features` is made."""
        if self._set is None:
            found = read_captions(self.source, self.data)
            self._set = in_folds(found, self.folds) if self.folds > 1 else found
            self._require_splits("there are too few of them")
        return self._set.splits

    def _require_splits(self, why: str) -> None:
        """Refuse pictures of which a split, or that of a fold, has none.

        Raises:
            DataError: with the reason that is given.
        """
        assert self._set is not None
        for split, examples in self._set.splits.items():
            if len({one.fold for one in examples}) < self.folds:
                raise DataError(f"{self.source}: no picture in the {split} set; {why}")

    @property
    def features(self) -> Features:
        """Vectors of all pictures that are not broken; extracted where the data folder has none yet."""
        if self._features is None:
            pictures = list({one.picture.id: one.picture for split in SPLITS for one in self.examples[split]}.values())
            known = self.source in NAMED
            place = Path(self.source).resolve()
            begin = place.name.encode()[:NAME_BYTES].decode(errors="ignore")
            name = self.source if known else f"{begin}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"
            self._features = features_of(pictures, self.feature_source, self.data, name)
            if broken := self._features.broken:
                assert self._set is not None
                self._set = without_broken(self._set, broken)
                self._require_splits(f"{len(broken):,} are broken: {next(iter(broken.values()))}")
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
        digest = hashlib.sha256(self.features.sha256.encode())  # before the counts: broken pictures are left out
        counts = self._training_counts()
        self.vocabulary = Vocabulary.from_counts(counts, self.min_count)
        kept = {word: counts[word] for word in self.vocabulary.words}
        require_words(kept, self.source, f"words must occur {self.min_count} times, separated by spaces")
        self.captions = {split: Captions(self.examples[split], self.vocabulary) for split in SPLITS}
        for split in SPLITS:
            for example in self.examples[split]:
                name = split if self.folds == 1 else f"{split} of fold {example.fold}"
                line = "\t".join((name, example.picture.id, example.mark or example.picture.stamp, *example.captions))
                digest.update(line.encode() + b"\n")
        self.sha256 = digest.hexdigest()

    def _training_counts(self) -> Counter[str]:
        """How often each word occurs in the training captions of the fold that has it least often.

        The captioners of all folds thus have one vocabulary, of words that each of them has learned.
        """
        counts: list[Counter[str]] = [Counter() for _ in range(self.folds)]
        for example in self.examples["train"]:
            counts[example.fold].update(" ".join(example.captions).split())
        return Counter({word: min(of_fold[word] for of_fold in counts) for word in counts[0]})

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
            tokens = sum(len(item.tokens) + 1 for item in captions.items)
            unknown_words[split] = sum(item.tokens.count(unknown) for item in captions.items) / tokens
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
    def statistics(self) -> list[tuple[Tensor, Tensor]]:
        """Mean and standard deviation [size] of the training pictures' vectors of each fold."""
        found = []
        for fold in range(self.folds):
            vectors = self.features.of([one.picture.id for one in self.examples["train"] if one.fold == fold]).double()
            found.append((vectors.mean(dim=0).float(), vectors.std(dim=0, unbiased=False).float()))
        return found

    @property
    def units_per_epoch(self) -> int:
        """Words trained on in an epoch, `<eos>` included."""
        return sum(len(item.tokens) + 1 for item in self.captions["train"].items)

    @override
    def size(self, batch: CaptionBatch | PictureBatch) -> int:
        return len(batch.features)

    @override
    def share(self, batch: CaptionBatch | PictureBatch, sequences: slice) -> CaptionBatch | PictureBatch:
        return batch.share(sequences)

    def collate(self, items: Sequence[Caption]) -> CaptionBatch:
        """Put captions of one fold side by side, padded at the end."""
        eos, longest = self.vocabulary.ids[EOS], max(len(item.tokens) for item in items) + 1
        inputs = torch.full((longest, len(items)), eos)
        targets = torch.full((longest, len(items)), IGNORE_INDEX)
        for column, item in enumerate(items):
            ids = torch.tensor([*item.tokens, eos])
            inputs[1 : len(ids), column], targets[: len(ids), column] = ids[:-1], ids
        return CaptionBatch(self.features.of([item.picture for item in items]), inputs, targets, items[0].fold)

    def collate_pictures(self, examples: Sequence[Example]) -> PictureBatch:
        """Put pictures of one fold side by side, with all their captions."""
        ids = [example.picture.id for example in examples]
        return PictureBatch(ids, self.features.of(ids), [example.captions for example in examples], examples[0].fold)

    def _batches(self, split: str, batch_size: int, seed: int | None = None) -> DataLoader[Any]:
        captions = self.captions[split]
        order = FoldBatches([item.fold for item in captions.items], batch_size, seed)
        return DataLoader(captions, batch_sampler=order, collate_fn=self.collate)

    def _in_order(self, split: str) -> DataLoader[Any]:
        return self._batches(split, CAPTIONS_AT_ONCE)

    def train_dataloader(self) -> DataLoader[Any]:
        """All captions, in another order each epoch."""
        return self._batches("train", self.batch_size, mix(self.seed, 0))

    def val_dataloader(self) -> DataLoader[Any]:
        """All captions, in order."""
        return self._in_order("validation")

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """The final evaluation: every caption of the validation, test and training set, then the test pictures."""
        return [*(self._in_order(split) for split in ("validation", "test", "train")), self.pictures("test")]

    def pictures(self, split: str) -> DataLoader[Any]:
        """The pictures of a split, each once."""
        examples: Any = self.examples[split]
        order = FoldBatches([example.fold for example in examples], PICTURES_AT_ONCE)
        return DataLoader(examples, batch_sampler=order, collate_fn=self.collate_pictures)
