"""Captioned pictures in three splits, as every data set of them is read."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from datamodules.captioning.images import Picture

HELD_OUT = 0.1
"""Part of the pictures for validation, and for test, where a data set has no splits of its own."""


@dataclass(frozen=True)
class Example:
    """A picture and what people say of it."""

    picture: Picture
    captions: tuple[str, ...]
    """Words separated by spaces, lower case, no punctuation."""
    group: str
    """What it shows: variants of one drawing stand in one split."""


@dataclass(frozen=True)
class CaptionSet:
    """Captioned pictures in three splits."""

    splits: dict[str, tuple[Example, ...]]
    details: dict[str, Any] = field(default_factory=dict)
    """How it was split, what was left out."""


_WORD = re.compile(r"[^\W_]+(?:[-'.,][^\W_]+)*")


def words(caption: str) -> str:
    """A caption in lower case without punctuation, as the evaluation of MSCOCO has it."""
    return " ".join(_WORD.findall(caption.lower().replace("\u2019", "'")))


def split_of(name: str) -> str:
    """A split by the hash of a name: the same wherever and with whatever else it is read."""
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
    return "test" if place < HELD_OUT else "validation" if place < 2 * HELD_OUT else "train"
