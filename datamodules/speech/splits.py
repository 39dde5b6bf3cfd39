"""Splits of a corpus that has none of its own, so that what is said in one split is not said in another."""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import regex

from datamodules.sources import SPLITS, Split

PERCENT: dict[Split, int] = {"validation": 15, "test": 15}
"""Percentage of prompts that each split is given; the others are for training."""

PHRASE_WORDS = 4
"""Words of a phrase; two prompts that share one are kept in one split."""

_WORD = regex.compile(r"[\p{L}\p{N}_][\p{L}\p{N}_\p{M}\u200c\u200d]*")

Phrases = Callable[[str], set[str]]
"""The texts by which a prompt is kept together with others."""


def words_of(transcript: str) -> list[str]:
    """The words of a transcript, without case and punctuation: letters and digits with the marks that combine."""
    return _WORD.findall(transcript.lower())  # type: ignore[no-any-return]


def phrases(transcript: str) -> set[str]:
    """All runs of PHRASE_WORDS words of a transcript; of a shorter one the whole."""
    words = words_of(transcript)
    return {" ".join(words[at : at + PHRASE_WORDS]) for at in range(max(1, len(words) - PHRASE_WORDS + 1))}


def shared_phrases(transcripts: Iterable[tuple[str, Split]]) -> dict[str, float]:
    """The share of each held-out split's different phrases that the training set has too, from 0 to 1."""
    found: dict[str, set[str]] = {split: set() for split in SPLITS}
    for transcript, split in transcripts:
        found[split] |= phrases(transcript)
    return {split: len(found[split] & found["train"]) / len(found[split]) for split in PERCENT if found[split]}


def split_prompts(transcripts: Sequence[str]) -> list[Split]:
    """The split of each prompt, by the words of all of them alone: no phrase is in two splits.

    Where a phrase runs through so many prompts that nothing could be held out, only the same text stays together.
    """
    splits = _split(transcripts, phrases)
    return splits if set(splits) == set(SPLITS) else _split(transcripts, _whole)


def halve(transcripts: Sequence[str]) -> list[Split]:
    """Prompts of a validation set divided in two, validation and test, with no phrase, or else no text, in both."""
    groups = _groups(transcripts, phrases)
    if len(groups) == 1:
        groups = _groups(transcripts, _whole)
    sizes: dict[Split, int] = {"validation": 0, "test": 0}
    splits: list[Split] = ["validation"] * len(transcripts)
    for group in groups:
        split: Split = "validation" if sizes["validation"] <= sizes["test"] else "test"
        sizes[split] += len(group)
        for place in group:
            splits[place] = split
    return splits


def _whole(transcript: str) -> set[str]:
    return {" ".join(words_of(transcript))}


def _split(transcripts: Sequence[str], of: Phrases) -> list[Split]:
    most = min(PERCENT.values()) * len(transcripts) // 100
    splits: list[Split] = ["train"] * len(transcripts)
    for group in _groups(transcripts, of):
        bucket = _bucket(transcripts, group) % 100
        for split, percent in PERCENT.items():
            if 0 <= bucket < percent and len(group) <= most:
                for place in group:
                    splits[place] = split
            bucket -= percent
    return splits


def _bucket(transcripts: Sequence[str], group: Sequence[int]) -> int:
    first = min(" ".join(words_of(transcripts[place])) for place in group)
    return int(hashlib.sha256(first.encode()).hexdigest()[:8], 16)


def _groups(transcripts: Sequence[str], of: Phrases) -> list[list[int]]:
    """Places of prompts that are linked by what they share, in an order that follows from their words."""
    leader = list(range(len(transcripts)))
    first: dict[str, int] = {}

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = place = leader[leader[place]]
        return place

    for place, transcript in enumerate(transcripts):
        for phrase in of(transcript):
            leader[find(place)] = find(first.setdefault(phrase, place))
    groups: dict[int, list[int]] = {}
    for place in range(len(transcripts)):
        groups.setdefault(find(place), []).append(place)
    return sorted(groups.values(), key=lambda group: _bucket(transcripts, group))
