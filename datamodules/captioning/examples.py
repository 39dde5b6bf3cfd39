"""Captioned pictures in three splits, as every data set of them is read."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datamodules.captioning.images import Picture
from datamodules.text import without_entities
from datamodules.vocabulary import note_several_splits
from datamodules.words import words_of

HELD_OUT = 0.1
"""Part of the pictures for validation, and for test, where a data set has no splits of its own."""

BROKEN = "broken pictures"
"""Reason for which pictures are left out that cannot be decoded."""
KEPT_NAMES = 200
"""Most pictures left out whose names a record keeps."""


@dataclass(frozen=True)
class Example:
    """A picture and its captions by people."""

    picture: Picture
    captions: tuple[str, ...]
    """Words separated by spaces, lower case, no punctuation."""
    group: str
    """Name of the motif, by which variants of one drawing stay in one split."""
    mark: str = ""
    """Text that stands for the picture in the checksum of the data, if that is not the checksum of its content."""
    fold: int = 0
    """Number of the fold whose split it is in, see in_folds."""


@dataclass(frozen=True)
class CaptionSet:
    """Captioned pictures in three splits."""

    splits: dict[str, tuple[Example, ...]]
    details: dict[str, Any] = field(default_factory=dict)
    """The way that it was split, and counts of what was left out."""
    has_splits: bool = True
    """Whether the source names the splits; else they are made here, by a hash of names."""


def words(caption: str) -> str:
    """A caption in lower case without punctuation, as the evaluation of MSCOCO has it, its entities of HTML read."""
    return " ".join(words_of(without_entities(caption).lower().replace("\u2019", "'")))


def without_broken(found: CaptionSet, broken: Mapping[str, str]) -> CaptionSet:
    """The pictures but those that are broken, which are counted and named.

    Args:
        found: all pictures.
        broken: what is wrong with each broken one, by its id.
    """
    if not broken:
        return found
    kept = {
        split: tuple(one for one in examples if one.picture.id not in broken)
        for split, examples in found.splits.items()
    }
    names = [*found.details.get("left_out_pictures", {}).items(), *((id, BROKEN) for id in broken)]
    details = {
        **found.details,
        "left_out": {**found.details.get("left_out", {}), BROKEN: len(broken)},
        "left_out_pictures": dict(names[:KEPT_NAMES]),
        "notes": [*found.details.get("notes", ()), f"broken: {next(iter(broken.values()))}"],
    }
    return replace(found, splits=kept, details=details)


def split_of(name: str) -> str:
    """A split by the hash of a name: the same wherever and with whatever else it is read."""
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
    return "test" if place < HELD_OUT else "validation" if place < 2 * HELD_OUT else "train"


def of_one_content(splits: Mapping[str, Sequence[Example]]) -> list[list[tuple[str, Example]]]:
    """Pictures that are there under several names: for each content its split and example under each, by name."""
    found: dict[str, list[tuple[str, Example]]] = defaultdict(list)
    every = [(split, example) for split, examples in splits.items() for example in examples]
    for split, example in sorted(every, key=lambda pair: pair[1].picture.id):
        found[example.picture.stamp].append((split, example))
    return [pairs for pairs in found.values() if len(pairs) > 1]


def note_in_several_splits(alike: Sequence[Sequence[tuple[str, Example]]]) -> list[str]:
    """A note on those pictures under several names, see of_one_content, that are in several splits; none for none."""
    shared = [pairs for pairs in alike if len({split for split, _ in pairs}) > 1]
    return note_several_splits("picture", [" and ".join(one.picture.id for _, one in two[:2]) for two in shared])
