"""Notes on speech: what of it was not taken as it stands, and what its splits do or do not share."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from datamodules.errors import counted
from datamodules.sources import SPLITS, Split
from datamodules.speech.alignment import FRAMES_OFF
from datamodules.speech.corpus import Utterance
from datamodules.speech.features import Audio
from datamodules.vocabulary import note_several_splits

CLAMPED, SILENT, LOW_RATE = "clamped", "silent", "low rate"
FITTED, BEGINS_ALONE, ROUND_BRACKETS = "fitted", "begins alone", "round brackets"
"""Kinds of what is remarked on an utterance."""
REMARKS = {
    CLAMPED: ("recording", "has", "have", "samples beyond full scale, which were clamped"),
    SILENT: ("recording", "is", "are", "digital silence"),
    LOW_RATE: (
        "recording",
        "has",
        "have",
        "a lower sample rate than the analysis, so that the highest bands are empty",
    ),
    FITTED: (
        "label file",
        "has",
        "have",
        f"up to {FRAMES_OFF} labels too many or too few; the last one is repeated, or what is too many left out",
    ),
    BEGINS_ALONE: (
        "label file",
        "begins",
        "begin",
        "with a state that no other frame has; if that is an id or a heading, all labels are a frame late",
    ),
    ROUND_BRACKETS: (
        "transcript",
        "has",
        "have",
        "words in round brackets, which are aligned as if they were spoken",
    ),
}
"""What is said of each kind: a noun, its verb for one and for several, and the rest of the sentence."""


def remarks_on(audio: Audio, rate: int) -> tuple[str, ...]:
    """The kinds of remarks on a recording that is analyzed at a rate."""
    found = {
        CLAMPED: audio.clamped,
        SILENT: not np.ptp(audio.samples),
        LOW_RATE: audio.rate < rate,
    }
    return tuple(kind for kind, holds in found.items() if holds)


def notes_on(used: Sequence[Utterance], checksums: Sequence[str], remarks: Mapping[str, int]) -> list[str]:
    """A note for each kind of remark, and on recordings and speakers that are in several splits.

    Args:
        used: the utterances that are used.
        checksums: the checksum of the recording of each.
        remarks: the number of utterances by the kind of remark.
    """
    notes = []
    for kind, (noun, verb, plural, rest) in REMARKS.items():
        if remarks.get(kind):
            notes.append(f"{counted(remarks[kind], noun, verb, plural)} {rest}")
    recordings = _in_several_splits(zip(checksums, used, strict=True))
    notes += note_several_splits("recording", [" and ".join(each.name for each in group) for group in recordings])
    speakers = _in_several_splits((each.speaker, each) for each in used if each.speaker)
    notes += note_several_splits("speaker", [group[0].speaker for group in speakers])
    return notes + _note_speakers([each.speaker for each in used])


def _note_speakers(speakers: Sequence[str]) -> list[str]:
    """Notes on utterances whose group of normalization may be another one than is meant.

    Args:
        speakers: the speaker of each utterance, or nothing.
    """
    notes = []
    spellings: dict[str, set[str]] = {}
    for speaker in speakers:
        spellings.setdefault(speaker.casefold(), set()).add(speaker)
    if alike := [sorted(group) for group in spellings.values() if len(group) > 1]:
        names = counted(len(alike), "speaker", "is", "are")
        notes.append(f"{names} named in several ways that differ in case only, such as {' and '.join(alike[0])}")
    if 0 < (unnamed := speakers.count("")) < len(speakers):
        recordings = counted(unnamed, "recording", "names", "name")
        notes.append(f"{recordings} no speaker, unlike others; all without one are normalized together")
    return notes


def _in_several_splits(items: Iterable[tuple[str, Utterance]]) -> list[list[Utterance]]:
    """The utterances of each key that is in several splits."""
    groups: dict[str, list[Utterance]] = {}
    for key, utterance in items:
        groups.setdefault(key, []).append(utterance)
    return [group for group in groups.values() if len({each.split for each in group}) > 1]


def note_unknown_states(labels: Mapping[Split, np.ndarray], states: Sequence[str]) -> list[str]:
    """Notes on held-out frames whose state no training frame has, so that no model can name them rightly.

    Args:
        labels: indices into states, of each split.
        states: names of the states.
    """
    notes = []
    for split in SPLITS[1:]:
        unknown = labels[split][~np.isin(labels[split], labels["train"])]
        if len(unknown):
            frames = f"{len(unknown):,} of {counted(len(labels[split]), 'frame', 'has', 'have')}"
            notes.append(f"{split}: {frames} a state that no training frame has, such as {states[unknown[0]]}")
    return notes
