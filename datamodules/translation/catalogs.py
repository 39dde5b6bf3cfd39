"""Short phrases of a program's interface, read from the message catalogs of its wheel and split into three parts."""

import hashlib
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.bounds import MEMBER_BYTES
from datamodules.errors import DataError, damaged
from datamodules.text import parse_json

CATALOG = "/translations/{}.json"
"""End of a catalog's name in the wheel, by the code of its language; there is one for each component."""
SHORTEST, LONGEST = 2, 12
"""Fewest and most words of a phrase, in either language."""
LEAST = 5
"""Occurrences in the distinct phrases of its language below which a word is rare, and phrases with it are left out."""
EVERY = 10
"""One phrase of this many is for validation and one for test."""

_SAME = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\xa0": " ", "\u202f": " "})
"""Typographic apostrophes, quotation marks and spaces, which translators use or not, and what they are read as."""
_WORD = re.compile(r"[^\W\d_]+")
_PLAIN = re.compile(r"""(?:[^\W\d_]|[ ,;:!?'"()«»…–—&+-]|/(?!/)|\.(?!\w))+""")
"""A phrase of letters and punctuation: no placeholder such as {name}, markup, number, address or name of a file."""


class Phrases(NamedTuple):
    """The phrases that were kept, and the number of those that were not."""

    splits: dict[str, list[tuple[str, str]]]
    """Split to its pairs; no two pairs have the same words on either side, whatever their case and punctuation."""
    left_out: dict[str, int]
    """Reason to number of messages."""


@cache  # the wheel is large, and a process may train many runs
def read_catalogs(wheel: Path, languages: tuple[str, str]) -> Phrases:
    """Read the phrases that a wheel has in both languages.

    Of pairs with the same words on one side, the most frequent one is kept. Its split follows from the words of its
    source alone.

    Args:
        wheel: an archive with catalogs, JSON objects whose keys lead to messages.
        languages: languages of source and target.

    Raises:
        DataError: the wheel or a catalog is broken, or has no phrase for one of the splits.
    """
    left_out = dict.fromkeys(
        (
            "without a translation",
            "the same in both languages",
            "with placeholders, markup or numbers",
            f"of fewer than {SHORTEST} or more than {LONGEST} words",
            "whose words are those of another",
            "with a rare word",
        ),
        0,
    )
    untranslated, same, marked, length, repeated, rare = left_out
    counts: Counter[tuple[str, str]] = Counter()
    for source, target in messages(wheel, languages):
        if target is None:
            left_out[untranslated] += 1
        elif source == target:
            left_out[same] += 1
        elif not (_PLAIN.fullmatch(source) and _PLAIN.fullmatch(target)):
            left_out[marked] += 1
        elif not all(SHORTEST <= len(_WORD.findall(side)) <= LONGEST for side in (source, target)):
            left_out[length] += 1
        else:
            counts[source, target] += 1
    distinct = _distinct(counts)
    left_out[repeated] = counts.total() - len(distinct)
    frequent = [
        {
            word
            for word, count in Counter(word for side in sides for word in _WORD.findall(side)).items()
            if count >= LEAST
        }
        for sides in zip(*distinct, strict=True)
    ]
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "validation": [], "test": []}
    for pair in distinct:
        if all(words.issuperset(_WORD.findall(side)) for words, side in zip(frequent, pair, strict=True)):
            splits[_split(pair[0])].append(pair)
        else:
            left_out[rare] += 1
    if missing := [split for split, pairs in splits.items() if not pairs]:
        raise DataError(f"{wheel}: no phrase for {' and '.join(missing)} is left of its messages: {left_out}")
    return Phrases(splits, left_out)


def messages(wheel: Path, languages: tuple[str, str]) -> Iterator[tuple[str, str | None]]:
    """All messages of a wheel in the source language, each with its translation, None where it has none.

    Raises:
        DataError: the wheel or a catalog is broken, or it has none in the source language.
    """
    first, second = (CATALOG.format(language) for language in languages)
    with damaged(wheel), zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        sources = sorted(name for name in names if name.endswith(first))
        if not sources:
            raise DataError(f"{wheel}: it has no *{first}; expected a catalog for each component")
        for name in sources:
            translation = name.removesuffix(first) + second
            target = _messages(archive, translation, wheel) if translation in names else {}
            for key, message in _messages(archive, name, wheel).items():
                yield message, target.get(key) or None


def _messages(archive: zipfile.ZipFile, name: str, wheel: Path) -> dict[tuple[str, ...], str]:
    """The messages of a catalog by the keys that lead to them, in its order.

    Raises:
        DataError: it is no JSON object of messages and such objects.
    """
    place = f"{wheel}, {name}"
    MEMBER_BYTES.check(archive.getinfo(name).file_size, place)
    with damaged(place):
        catalog = parse_json(archive.read(name), place)
    return dict(_leaves(catalog, (), place))


def _leaves(value: Any, keys: tuple[str, ...], place: str) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*keys, key), place)
    elif isinstance(value, str) and keys:
        yield keys, " ".join(value.translate(_SAME).split())
    else:
        at = ".".join(keys)[:80]
        raise DataError(f"{place}: {at!r} is of type {type(value).__name__}; expected an object, with text in the end")


def _distinct(counts: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs, the most frequent first, without those that have the words of an earlier one on either side."""
    known: tuple[set[str], set[str]] = set(), set()
    kept = []
    for pair, _ in counts.most_common():  # of equally frequent ones the first comes first
        keys = [_key(side) for side in pair]
        if not any(key in there for key, there in zip(keys, known, strict=True)):
            kept.append(pair)
            for key, there in zip(keys, known, strict=True):
                there.add(key)
    return kept


def _key(phrase: str) -> str:
    """The words of a phrase without case and punctuation."""
    return " ".join(_WORD.findall(phrase.casefold()))


def _split(source: str) -> str:
    place = int.from_bytes(hashlib.sha256(_key(source).encode()).digest(), "big") % EVERY
    return {0: "validation", 1: "test"}.get(place, "train")
