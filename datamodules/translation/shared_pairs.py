"""Pairs of a held-out split that are in another split too: they are counted, and said."""

import hashlib
import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.translation.tokenization import Words
from datamodules.vocabulary import note_shared

Marks = NDArray[np.uint64]
"""Two numbers for each of some pairs, [pairs, 2], by which its source and the whole pair are known again."""


class Shared(NamedTuple):
    """How many pairs of one split are in another one too."""

    pairs: int
    """With the same words on both sides."""
    sources: int
    """With the same words in the source, whatever the target."""


def marks_of(pairs: Iterable[Words]) -> Marks:
    """The numbers by which some pairs are known again."""
    marks = [(_mark(source), _mark([*source, "\n", *target])) for source, target in pairs]
    return np.array(marks, np.uint64).reshape(-1, 2)


def _mark(words: list[str]) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest(), sys.byteorder)


def shared(wanted: Marks, others: Iterable[Marks]) -> Shared:
    """How many of some pairs are among others, by the marks of both; those of the others are given in blocks."""
    found = np.zeros(wanted.shape, bool)
    for block in others:
        for column in range(2):
            found[:, column] |= np.isin(wanted[:, column], block[:, column])
    sources, whole = found.sum(axis=0).tolist()
    return Shared(pairs=whole, sources=sources)


def notes_on_shared(split: str, found: Shared, total: int, other: str) -> list[str]:
    """Notes on pairs that are in another split too, and on those of which only the source is.

    Args:
        split: name of the split.
        found: their numbers.
        total: number of all pairs of the split.
        other: name of the other split, such as "training".
    """
    notes = note_shared(split, found.pairs, total, "pairs", other)
    sources = note_shared(split, found.sources - found.pairs, total, "sources", other)
    return notes + [f"{note}, with another target" for note in sources]
