"""Recorded speech as it is published: LibriSpeech and Samrómur, each in its own layout."""

from collections.abc import Sequence
from pathlib import Path

from torchaudio.datasets import LIBRISPEECH

from datamodules.errors import DataError, counted, damaged
from datamodules.sources import Split
from datamodules.speech.corpus import SpeechCorpus, Utterance, hash_files
from datamodules.speech.sources import LIBRISPEECH_SOURCE, MMS, RECORDINGS, SAMROMUR, SUBSETS
from datamodules.text import inside, read_lines


class LibriSpeechCorpus(SpeechCorpus):
    """LibriSpeech in its own layout, through torchaudio: train-clean-100, dev-clean and test-clean."""

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
            with damaged(self.root, wrong=f"{subset} is not in LibriSpeech's layout"):
                corpus = LIBRISPEECH(self.root, subset)
                missing = self._missing(subset)
                for index in range(len(corpus)):
                    path, _, transcript, speaker, *_ = corpus.get_metadata(index)
                    found.append(self._utterance(path, transcript, speaker, split))
            found += [self._utterance(path, text, path.split("/")[1], split) for path, text in missing]
            self.notes += (*_note_size(subset, len(corpus) + len(missing)),)
        return found

    def _utterance(self, path: str, transcript: str, speaker: int | str, split: Split) -> Utterance:
        audio = self.root / "LibriSpeech" / path
        return Utterance(path, audio, transcript, f"{SUBSETS[split]} {speaker}", split)

    def _missing(self, subset: str) -> list[tuple[str, str]]:
        """Path and text of the recordings of a subset that have a transcript only, which torchaudio passes over."""
        folder, found = self.root / "LibriSpeech", []
        for transcripts in sorted((folder / subset).glob("*/*/*.trans.txt")):
            chapter = transcripts.parent.relative_to(folder).as_posix()
            for number, line in read_lines(transcripts):
                name, _, text = line.strip().partition(" ")
                path = f"{chapter}/{name}.flac"
                if not inside(folder, path, f"{transcripts}:{number}").exists():
                    found.append((path, text))
        return found


def _note_size(subset: str, recordings: int) -> list[str]:
    """A note on a subset that has not as many recordings as were published, such as one that is partly unpacked."""
    published = RECORDINGS[subset]
    names = counted(recordings, "recording", "is", "are")
    return (
        [f"{subset}: {names} named in its transcripts, of {published:,} published"] if recordings != published else []
    )


class SamromurCorpus(SpeechCorpus):
    """Samrómur 21.05 in its published layout: metadata.tsv, and <train, dev or test>/<speaker>/<file>.flac."""

    aligner = MMS
    STATUS: dict[str, Split] = {"train": "train", "dev": "validation", "test": "test"}  # noqa: RUF012
    COLUMNS = ("speaker_id", "filename", "sentence_norm", "status")

    def __init__(self, data: Path) -> None:
        self.root = data / SAMROMUR.name

    def fetch(self) -> None:
        """See SpeechCorpus.fetch."""
        SAMROMUR.fetch(self.root.parent)

    def identity(self) -> str:
        """See SpeechCorpus.identity."""
        return hash_files(self.files(self.root / "metadata.tsv"))

    def read_utterances(self) -> list[Utterance]:
        """See SpeechCorpus.read_utterances."""
        path = self.root / "metadata.tsv"
        lines = read_lines(path, SAMROMUR.instructions)
        titles = next((line for _, line in lines), "").split("\t")
        if missing := [column for column in self.COLUMNS if column not in titles]:
            raise DataError(f"{path}: expected the columns of Samrómur 21.05; missing {', '.join(missing)}")
        found: list[Utterance] = []
        places: dict[Path, int] = {}
        passed_over: list[tuple[int, str]] = []
        for number, line in lines:
            row = dict(zip(titles, line.split("\t"), strict=False))
            if len(row) < len(titles):
                raise DataError(f"{path}:{number}: {len(row)} columns, expected {len(titles)}")
            if not (split := self.STATUS.get(row["status"])):
                passed_over.append((number, row["status"]))
                continue
            file = row["filename"] if row["filename"].endswith(".flac") else f"{row['filename']}.flac"
            name = f"{row['status']}/{row['speaker_id']}/{file}"
            audio = inside(self.root, name, f"{path}:{number}")
            if (first := places.setdefault(audio, number)) != number:
                raise DataError(f"{path}:{number}: {name} is named again, after line {first}; name a recording once")
            found.append(Utterance(name, audio, row["sentence_norm"], row["speaker_id"], split))
        self.notes += (*_note_passed_over(path, passed_over),)
        return found


def _note_passed_over(path: Path, rows: Sequence[tuple[int, str]]) -> list[str]:
    """A note on rows of metadata of another status than a split's, by their line; none for no row."""
    if not rows:
        return []
    number, status = rows[0]
    unread = counted(len(rows), "row", "is", "are")
    statuses = ", ".join(SamromurCorpus.STATUS)
    return [f"{path.name}: {unread} not read, as the status is none of {statuses}: {status!r} in line {number}"]
