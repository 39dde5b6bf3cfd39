"""Recorded speech in a folder of audio with transcripts; and every source of speech by its name."""

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from datamodules.errors import DataError, counted, damaged
from datamodules.lists import NamedFiles, header_fields, not_named
from datamodules.sources import SPLITS, FolderSource, Split
from datamodules.speech.corpus import SpeechCorpus, Utterance, hash_files
from datamodules.speech.published import LibriSpeechCorpus, SamromurCorpus
from datamodules.speech.sources import ASTERISK, ESPEAK, LIBRISPEECH_SOURCE, SAMROMUR
from datamodules.speech.splits import halve, split_prompts
from datamodules.speech.synthetic import EspeakCorpus
from datamodules.text import cells, note_lone_marks, read_lines

FIELDS = ("path", "text", "speaker", "split")
"""Columns of a list of recordings, in the order that they have without a header."""
TITLES = {
    **dict.fromkeys(("path", "file", "filename", "audio"), "path"),
    **dict.fromkeys(("text", "sentence", "transcript", "transcription"), "text"),
    **dict.fromkeys(("speaker", "speaker_id"), "speaker"),
    "split": "split",
}
"""The column that a title in a header means."""
SPLIT_NAMES = {*SPLITS, "training", "dev", "devel", "val", "valid", "testing", "eval", "evaluation"}
"""Names of splits in lower case, which are none of speakers."""

AUDIO = {".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav"}
"""Ends of names of recordings."""
_NAME_AND_SPACE = re.compile(rf"(.*?(?:{'|'.join(map(re.escape, sorted(AUDIO)))}))\s", re.IGNORECASE)
"""The name of a recording and the space after it."""

logger = logging.getLogger(__name__)


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

    A header that names these columns may come first, and then they stand in its order.

    Prompts without splits are split by their words, so that no phrase is in two splits (splits.split_prompts); a file
    that has a split in some lines only is refused, since its prompts could share phrases with the others, and so is one
    that has a speaker in some lines where others end with the text, since that could be text after a tab. Where
    the file names splits but no test set, half of its validation set is that, and a warning says so. Where the folder
    has a folder `labels`, frame labels are read from it (path with the suffix .txt: a state for each 10 ms frame)
    instead of aligned.

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
        return hash_files(self.files(self.folder / "transcripts.tsv"))

    def read_utterances(self) -> list[Utterance]:
        """See SpeechCorpus.read_utterances."""
        path = self.folder / "transcripts.tsv"
        files, labels = NamedFiles(self.folder), NamedFiles(self.folder / "labels")
        has_labels = _is_there(labels.folder)
        found: list[Utterance] = []
        unsplit: list[int] = []
        speakers: dict[int, str | None] = {}
        places: dict[Path, tuple[int, str]] = {}
        lone_marks: list[int] = []
        fields: list[str] = []
        for number, line in read_lines(path, "a speech folder holds audio and transcripts.tsv"):
            row, lone = cells(line, "\t")
            place = f"{path}:{number}"
            if not fields:  # the first line that is not blank
                titles = header_fields(row, TITLES, FIELDS[:2], place)
                fields = titles or [*FIELDS]
                if titles:
                    self.notes += (f"{path.name}: its first line, {line!r}, is read as a header",)
                    continue
            name, text, speaker, split = _values(row, fields, place, line)
            audio = files.find(name, place)
            _require_tab(name, audio, place)
            label_file = _label_file(labels, name, place) if has_labels else None
            for file in filter(None, (audio, label_file)):
                if (first := places.setdefault(file, (number, name)))[0] != number:
                    raise DataError(f"{place}: {_shared(name, file, *first, file == audio)}")
            lone_marks += [number] * lone
            unsplit += [] if split else [number]
            speakers[number] = dict(zip(fields, row, strict=False)).get("speaker")
            found.append(Utterance(name, audio, text, speaker, split or "train", labels=label_file))  # type: ignore[arg-type]
        if not found:
            raise DataError(f"{path} is empty; expected lines of path, tab, text")
        _require_columns(speakers, unsplit, path)
        self.notes += (*note_lone_marks(path, lone_marks), *_note_unnamed(path, places))
        if has_labels:
            self.notes += (*_note_labels(labels.folder, places),)
            self.states_from = "labels/"
        self.has_splits = not unsplit
        return _split(found, self.has_splits, path)


def _is_there(labels: Path) -> bool:
    """Whether a folder has label files; without them its transcripts are aligned.

    Raises:
        DataError: there is something of that name that is no folder, such as a link that leads nowhere.
    """
    if not labels.is_dir() and (labels.is_symlink() or labels.exists()):
        raise DataError(f"{labels} is not a folder; it holds the label file of each recording, or is not there at all")
    return labels.is_dir()


def _require_columns(speakers: Mapping[int, str | None], unsplit: Sequence[int], path: Path) -> None:
    """Refuse a list of which some lines only have a split or a speaker, or whose splits stand in the place of speakers.

    Args:
        speakers: what each line, by its number, has in the column of speakers; None where it ends before that.
        unsplit: numbers of the lines without a split.
        path: the list.
    """
    if 0 < len(unsplit) < len(speakers):
        raise DataError(f"{path}:{unsplit[0]}: no split, but other lines have one; give every line a split, or none")
    named = {number: speaker for number, speaker in speakers.items() if speaker and speaker.strip()}
    if unsplit and named and {speaker.strip().lower() for speaker in named.values()} <= SPLIT_NAMES:
        raise DataError(
            f"{path}: {' and '.join(sorted({*named.values()}))} are read as its speakers; write path, tab, text, tab, "
            "speaker or nothing, tab, split, or begin with a header: path, tab, text, tab, split"
        )
    without = [number for number, speaker in speakers.items() if speaker is None]
    if named and without:
        number, speaker = next(iter(named.items()))
        raise DataError(
            f"{path}:{number}: {speaker!r} is read as the speaker, but line {without[0]} ends before that column; put "
            "no tab in a text, and give every line a speaker (or a tab and nothing), or none"
        )


def _require_tab(name: str, audio: Path, place: str) -> None:
    """Refuse a name of a recording that goes on with a space and more, where the tab before the text is missing."""
    found = _NAME_AND_SPACE.match(name)
    with damaged(place):
        if found and PurePosixPath(name).suffix.lower() not in AUDIO and not audio.exists():
            raise DataError(f"{place}: {name!r} is read as the name of a recording; write a tab after {found[1]}")


def _split(utterances: list[Utterance], has_splits: bool, path: Path) -> list[Utterance]:
    """Utterances, which are given splits if they have none, and a test set if they can have one."""
    if not has_splits:
        utterances = _with_splits(utterances, range(len(utterances)), split_prompts)
    if not any(each.split == "test" for each in utterances):
        held_out = [place for place, each in enumerate(utterances) if each.split == "validation"]
        utterances = _with_splits(utterances, held_out, halve)
        if tested := sum(each.split == "test" for each in utterances):
            logger.warning("%s names no test set: %d of its %d validation lines are it", path, tested, len(held_out))
    return utterances


def _values(row: Sequence[str], fields: Sequence[str], place: str, line: str) -> list[str]:
    """Path, text, speaker and split of a line whose columns are known; the last ones may be left out."""
    values = dict(zip(fields, row, strict=False))
    if len(row) > len(fields) or "text" not in values or not values.get("path"):
        right = "path, tab, text (and speaker, split if wanted)" if [*fields] == [*FIELDS] else ", tab, ".join(fields)
        cause = "" if "\t" in line else ", which has no tab"
        raise DataError(f"{place}: expected {right}: {line!r}{cause}")
    if (split := values.get("split", "")) not in ("", *SPLITS):
        raise DataError(f"{place}: the split is {split!r}, must be train, validation or test")
    values["speaker"] = " ".join(values.get("speaker", "").split())
    return [values.get(field, "") for field in FIELDS]


def _note_unnamed(path: Path, named: Collection[Path]) -> list[str]:
    """A note on recordings beside a list that it does not name, hidden ones apart; none for no recording."""
    names = not_named(path.parent, AUDIO, named)
    recordings = counted(len(names), "recording", "is", "are")
    return [f"{path.name}: {recordings} not named in it and not read, such as {names[0]}"] if names else []


def _note_labels(folder: Path, used: Collection[Path]) -> list[str]:
    """A note on label files that are of no recording, or of one that has another; none for no file."""
    names = not_named(folder, {".txt"}, used)
    files = counted(len(names), "label file", "belongs", "belong")
    return [f"{files} to no recording, such as labels/{names[0]}"] if names else []


def _label_file(labels: NamedFiles, name: str, place: str) -> Path:
    """The label file of a recording: its name with .txt after it or, where there is none, in place of its suffix."""
    path, parts = labels.find(f"{name}.txt", place), PurePosixPath(name)
    return path if path.is_file() else labels.find(f"{parts.parent / parts.stem}.txt", place)


def _shared(name: str, file: Path, first: int, first_name: str, is_audio: bool) -> str:
    """The message on a file that two lines of a list have in common."""
    if is_audio:
        return f"{name} is named again, after line {first}; name a recording once"
    return (
        f"{name} has the label file of {first_name}, line {first}: labels/{file.name}; add .txt to the whole name "
        f"of a recording instead, as in labels/{name}.txt"
    )


def _with_splits(
    utterances: Sequence[Utterance], places: Sequence[int], divide: Callable[[Sequence[str]], list[Split]]
) -> list[Utterance]:
    """The utterances with those at some places split by their transcripts."""
    splits = divide([utterances[place].transcript for place in places])
    found = dict(zip(places, splits, strict=True))
    return [replace(each, split=found.get(place, each.split)) for place, each in enumerate(utterances)]
