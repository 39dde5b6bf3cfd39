"""Recorded speech: a folder of audio with transcripts, LibriSpeech, Samrómur; and every source by its name."""

import csv
import hashlib
import re
from pathlib import Path

from torchaudio.datasets import LIBRISPEECH

from datamodules.errors import DataError
from datamodules.sources import FolderSource
from datamodules.speech.corpus import SpeechCorpus, Utterance, hash_files, read_lines
from datamodules.speech.sources import ASTERISK, ESPEAK, LIBRISPEECH_SOURCE, MMS, SAMROMUR, SPLITS, SUBSETS, Split
from datamodules.speech.synthetic import EspeakCorpus

VALIDATION_PERCENT = 15
"""Of the prompts of a folder that has no splits of its own."""


def open_corpus(source: str, data: Path) -> SpeechCorpus:
    """A source by name, or the path of a folder of audio with a transcript file."""
    if source == ESPEAK:
        return EspeakCorpus(data)
    if source == LIBRISPEECH_SOURCE.name:
        return LibriSpeechCorpus(data)
    if source == SAMROMUR.name:
        return SamromurCorpus(data)
    if source == ASTERISK.name:
        return FolderCorpus(data / source, ASTERISK)
    return FolderCorpus(Path(source))


class FolderCorpus(SpeechCorpus):
    """A folder of audio with transcripts.tsv: path, tab, text, and where wanted tab, speaker, tab, split.

    Where the file gives no split, prompts are split by a checksum of their words, so that the same text is never
    in both. Where the folder has a folder `labels`, frame labels are read from it (path with the suffix .txt: a
    state for each 10 ms frame) instead of aligned.

    Args:
        folder: the folder.
        source: the named source that it is, if any, which knows what to do when it is missing.
    """

    def __init__(self, folder: Path, source: FolderSource | None = None) -> None:
        self.folder, self.source = folder, source

    def fetch(self) -> None:
        """See SpeechCorpus.fetch."""
        if self.source:
            self.source.fetch(self.folder.parent)

    def identity(self) -> str:
        """See SpeechCorpus.identity."""
        files = [path for each in self.utterances for path in (each.audio, each.labels) if isinstance(path, Path)]
        return hash_files([self.folder / "transcripts.tsv", *files])

    def read_utterances(self) -> list[Utterance]:
        """See SpeechCorpus.read_utterances."""
        path = self.folder / "transcripts.tsv"
        labels = self.folder / "labels"
        found = []
        for number, line in enumerate(read_lines(path, "a speech folder holds audio and transcripts.tsv"), 1):
            name, *rest = line.split("\t")
            if not rest or len(rest) > 3 or not name:
                raise DataError(f"{path}:{number}: expected path, tab, text (and speaker, split if wanted): {line!r}")
            text, speaker, split = (*rest, *[""] * (3 - len(rest)))
            if split not in ("", *SPLITS):
                raise DataError(f"{path}:{number}: the split is {split!r}, must be train or validation")
            found.append(
                Utterance(
                    name=name,
                    audio=self.folder / name,
                    transcript=text,
                    speaker=speaker,
                    split=split or split_of(text),  # type: ignore[arg-type]
                    labels=(labels / name).with_suffix(".txt") if labels.is_dir() else None,
                )
            )
        if not found:
            raise DataError(f"{path} is empty; expected lines of path, tab, text")
        return found


def split_of(transcript: str) -> Split:
    """The split of a prompt, by its words alone."""
    words = " ".join(re.findall(r"\w+", transcript.lower()))
    bucket = int(hashlib.sha256(words.encode()).hexdigest()[:8], 16) % 100
    return "validation" if bucket < VALIDATION_PERCENT else "train"


class LibriSpeechCorpus(SpeechCorpus):
    """LibriSpeech in its own layout, through torchaudio: train-clean-100, and dev-clean for validation."""

    def __init__(self, data: Path) -> None:
        self.root = data / LIBRISPEECH_SOURCE.name

    def fetch(self) -> None:
        """See SpeechCorpus.fetch."""
        LIBRISPEECH_SOURCE.fetch(self.root.parent)

    def identity(self) -> str:
        """See SpeechCorpus.identity."""
        return hash_files(
            [each.audio for each in self.utterances if isinstance(each.audio, Path)],
            *(each.transcript for each in self.utterances),
        )

    def read_utterances(self) -> list[Utterance]:
        """See SpeechCorpus.read_utterances."""
        found = []
        for split, subset in SUBSETS.items():
            try:
                corpus = LIBRISPEECH(self.root, subset)
                for index in range(len(corpus)):
                    path, _, transcript, speaker, *_ = corpus.get_metadata(index)
                    audio = self.root / "LibriSpeech" / path
                    found.append(Utterance(path, audio, transcript, f"{subset} {speaker}", split))
            except (OSError, RuntimeError, LookupError) as error:
                raise DataError(f"{self.root}: {subset} is not in LibriSpeech's layout: {error}") from error
        return found


class SamromurCorpus(SpeechCorpus):
    """Samrómur 21.05 in its published layout: metadata.tsv, and <train or dev>/<speaker>/<file>.flac."""

    aligner = MMS
    STATUS: dict[str, Split] = {"train": "train", "dev": "validation"}  # noqa: RUF012
    COLUMNS = ("speaker_id", "filename", "sentence_norm", "status")

    def __init__(self, data: Path) -> None:
        self.root = data / SAMROMUR.name

    def fetch(self) -> None:
        """See SpeechCorpus.fetch."""
        SAMROMUR.fetch(self.root.parent)

    def identity(self) -> str:
        """See SpeechCorpus.identity."""
        files = [each.audio for each in self.utterances if isinstance(each.audio, Path)]
        return hash_files([self.root / "metadata.tsv", *files])

    def read_utterances(self) -> list[Utterance]:
        """See SpeechCorpus.read_utterances."""
        path = self.root / "metadata.tsv"
        rows = list(csv.DictReader(read_lines(path, SAMROMUR.instructions), delimiter="\t", quoting=csv.QUOTE_NONE))
        if missing := [column for column in self.COLUMNS if not rows or column not in rows[0]]:
            raise DataError(f"{path}: expected the columns of Samrómur 21.05; missing {', '.join(missing)}")
        found = []
        for row in rows:
            if split := self.STATUS.get(row["status"]):
                file = row["filename"] if row["filename"].endswith(".flac") else f"{row['filename']}.flac"
                name = f"{row['status']}/{row['speaker_id']}/{file}"
                found.append(Utterance(name, self.root / name, row["sentence_norm"], row["speaker_id"], split))
        return found
