"""What of a folder of recordings is not as a reader would think is said before training, or refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.corpora import RATE, write_corpus

from datamodules.errors import DataError
from datamodules.speech.datamodule import SpeechData
from datamodules.speech.recorded import FolderCorpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", labels=True)


def notes_of(folder: Path) -> list[str]:
    data = SpeechData(str(folder), folder.parent, 3, 40, 0, RATE)
    data.prepare_data()
    assert all(f"  {note}" in data.summary for note in data.details["notes"])
    notes: list[str] = data.details["notes"]
    return notes


def change_labels(folder: Path, number: int, change) -> None:
    path = folder / "labels" / f"{number}.txt"
    path.write_text(" ".join(change(path.read_text().split())))


def test_nothing_is_said_of_a_folder_in_order(folder: Path) -> None:
    assert notes_of(folder) == []


def test_held_out_states_that_no_training_frame_has_are_counted(folder: Path) -> None:
    change_labels(folder, 6, lambda states: [states[0], "A.0", *states[2:]])
    change_labels(folder, 10, lambda states: ["new.1", "new.1", *states[2:]])
    counts = [len((folder / "labels" / f"{number}.txt").read_text().split()) for number in range(11)]
    assert notes_of(folder) == [
        f"validation: 1 of {sum(counts[6:9])} frames have a state that no training frame has, such as A.0",
        f"test: 2 of {sum(counts[9:])} frames have a state that no training frame has, such as new.1",
    ]


def test_training_frames_of_one_state_are_refused(folder: Path) -> None:
    for number in range(6):
        change_labels(folder, number, lambda states: ["x"] * len(states))
    with pytest.raises(DataError, match="every training frame has the state x; labels name one of several"):
        notes_of(folder)


def test_label_files_that_are_fitted_to_their_recordings_are_counted(folder: Path) -> None:
    change_labels(folder, 0, lambda states: states[:-2])
    change_labels(folder, 9, lambda states: [*states, states[-1]])
    (note,) = notes_of(folder)
    assert note.startswith("2 label files have up to 3 labels too many or too few; the last one is repeated")


def test_speakers_that_are_in_several_splits_are_counted(folder: Path) -> None:
    path = folder / "transcripts.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    for line, speaker in zip(lines, ("ann", "ann", "bob", "", "", "", "ann", "cy", "", "bob", "dee"), strict=True):
        line[2] = speaker
    path.write_text("".join("\t".join(line) + "\n" for line in lines))
    assert notes_of(folder) == [
        "2 speakers are in several splits, such as ann",
        "4 recordings name no speaker, unlike others; all without one are normalized together",
    ]


def test_speakers_are_one_by_their_name_without_blanks_and_those_that_differ_in_case_are_said(folder: Path) -> None:
    """Each is a group of normalization, and `Anna` and `anna` may or may not be one person."""
    path = folder / "transcripts.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    for line, speaker in zip(
        lines, ["anna", "anna ", " Anna", *["cy  dee", "cy dee", "cy dee"], *"bbbcc"], strict=True
    ):
        line[2] = speaker
    path.write_text("".join("\t".join(line) + "\n" for line in lines))
    assert notes_of(folder) == ["1 speaker is named in several ways that differ in case only, such as Anna and anna"]
    speakers = [each.speaker for each in FolderCorpus(folder).read_utterances()]
    assert speakers[:6] == ["anna", "anna", "Anna", "cy dee", "cy dee", "cy dee"]


def test_silence_and_recordings_of_a_lower_rate_are_counted(folder: Path) -> None:
    for number, samples, rate in ((0, 0.0, RATE), (1, 0.25, RATE), (9, None, RATE // 2)):
        path = folder / f"{number}.wav"
        heard, _ = soundfile.read(path)
        soundfile.write(path, heard[::2] if samples is None else np.full(len(heard), samples), rate)
    assert notes_of(folder) == [
        "2 recordings are digital silence",
        "1 recording has a lower sample rate than the analysis, so that the highest bands are empty",
    ]


def test_labels_that_are_no_folder_are_refused_and_never_passed_over(folder: Path) -> None:
    (folder / "labels").rename(folder / "moved")
    (folder / "labels").symlink_to("nowhere")
    with pytest.raises(DataError, match="labels is not a folder; it holds the label file of each recording"):
        notes_of(folder)
