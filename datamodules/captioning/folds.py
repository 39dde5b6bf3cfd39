"""Pictures in folds, so that each of them is tested once, by a captioner that has not seen it."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from typing_extensions import override

from datamodules.captioning.examples import CaptionSet, Example, note_in_several_splits, of_one_content
from datamodules.errors import DataError, counted
from datamodules.order import EpochSampler, hashed, permutation


def in_folds(found: CaptionSet, folds: int) -> CaptionSet:
    """The same pictures in folds: each split is that of the first fold, then that of the second, and so on.

    A hash of its name puts a picture into one of 2 x `folds` parts; pictures of the same content, or variants of one
    drawing, are all put where the first of their names is. The first fold tests the first two parts, validates
    on the third and trains on all others; the second tests the third and the fourth, and so on.

    Raises:
        DataError: a fold lacks a split; there are too few pictures.
    """
    every = [one for examples in found.splits.values() for one in examples]
    count = 2 * folds
    parts: list[list[Example]] = [[] for _ in range(count)]
    alike = of_one_content(found.splits)
    first = _first_names({example.group for example in every}, alike)
    for example in sorted(every, key=lambda one: one.picture.id):
        name = first[example.group]
        parts[int(hashlib.sha256(name.encode()).hexdigest(), 16) % count].append(example)
    splits: dict[str, list[Example]] = {split: [] for split in found.splits}
    for fold in range(folds):
        for place, part in enumerate(parts):
            after = (place - 2 * fold) % count  # of the first part that the fold tests
            split = "test" if after < 2 else "validation" if after == 2 else "train"
            splits[split] += [replace(example, fold=fold) for example in part]
        if lacking := [split for split, examples in splits.items() if fold not in {one.fold for one in examples}]:
            different = len({example.picture.stamp for example in every})
            pictures = f"{len(every)} pictures" + (f" ({different} different ones)" if different < len(every) else "")
            raise DataError(f"{pictures} are too few for {folds} folds: one has no {lacking[0]} picture")
    note = (
        f"in {folds} folds: each picture is in the test set of one fold, whose captioner is not trained on it; "
        "counts are of all folds"
    )
    stale = note_in_several_splits(alike)  # of the splits that the source has, in place of which there are folds now
    notes = [*(old for old in found.details.get("notes", ()) if old not in stale), note]
    if alike:
        pictures = counted(len(alike), "picture", "is", "are")
        notes.append(f"{pictures} there under several names, each of them in one split of a fold only")
    details = {**found.details, "folds": folds, "notes": notes}
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)


def _first_names(groups: Iterable[str], alike: Sequence[Sequence[tuple[str, Example]]]) -> dict[str, str]:
    """The first name of all groups that share pictures with a group, directly or through others."""
    first = {group: group for group in groups}

    def root(group: str) -> str:
        while first[group] != group:
            group = first[group]
        return group

    for pairs in alike:
        roots = {root(example.group) for _, example in pairs}
        first |= dict.fromkeys(roots, min(roots))
    return {group: root(group) for group in first}


class FoldBatches(EpochSampler[list[int]]):
    """Batches of the places of items, each of one fold, in the given order or, with a seed, in another one each epoch.

    Args:
        folds: the fold of each item.
        batch_size: items of a batch.
        seed: seed of the order.
    """

    def __init__(self, folds: Sequence[int], batch_size: int, seed: int | None = None) -> None:
        super().__init__(seed, hashed)
        self.batch_size = batch_size
        self.places: dict[int, list[int]] = {}
        for place, fold in enumerate(folds):
            self.places.setdefault(fold, []).append(place)

    @property
    def sampler(self) -> "FoldBatches":
        """This sampler itself: Lightning tells the epoch to the `sampler` of a batch sampler."""
        return self

    def __len__(self) -> int:
        return sum(-(-len(places) // self.batch_size) for places in self.places.values())

    @override
    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the first fold, then those of the second, and so on."""
        generator = self.generator()
        for places in self.places.values():
            order = permutation(len(places), generator)
            for begin in range(0, len(places), self.batch_size):
                yield [places[index] for index in order[begin : begin + self.batch_size]]
