"""Lists of recordings and pictures: whatever is not read as it was meant is refused or counted, by name."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from support.corpora import RATE, draw_pictures, spoken, write_corpus

from datamodules.captioning.karpathy import read_karpathy
from datamodules.captioning.photographs import read_flickr
from datamodules.errors import DataError
from datamodules.speech.datamodule import SpeechData
from datamodules.speech.features import LeftOut, log_mel, read_audio
from datamodules.speech.recorded import FolderCorpus


def speech_of(folder: Path) -> SpeechData:
    data = SpeechData(str(folder), folder.parent, 3, 40, 0, RATE)
    data.prepare_data()
    return data


def rewritten(folder: Path, change) -> Path:
    path = folder / "transcripts.tsv"
    path.write_bytes(change(path.read_text()).encode())
    return folder


def test_a_list_of_recordings_is_read_however_a_spreadsheet_saved_it(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    plain = speech_of(folder)

    def saved(text: str) -> str:
        rows = (line.split("\t") for line in text.splitlines())
        quoted = "".join(f'{name}\t"{words}"\t{speaker}\t{split}\r\n\r\n' for name, words, speaker, split in rows)
        return "\ufeffpath\ttext\tspeaker\tsplit\r\n" + quoted

    data = speech_of(rewritten(folder, saved))
    assert data.sha256 == plain.sha256
    assert [one.transcript for one in data.corpus.utterances] == [one.transcript for one in plain.corpus.utterances]
    assert "header" in data.details["notes"][0]
    assert "read from" in data.summary
    assert "6 utterances" in data.summary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text + text.splitlines()[0], r"tsv:\d+: 0.wav is named again, after line 1"),
        (lambda text: text.replace("3.wav", "../3.wav"), r"tsv:4: '../3.wav' leads out of"),
        (lambda text: text.replace("3.wav", "/etc/3.wav"), r"tsv:4: '/etc/3.wav' leads out of"),
        (lambda text: "\n\n" + text.replace("\tvalidation", "\tdev"), r"tsv:9: the split is 'dev'"),
    ],
)
def test_a_wrong_line_of_a_list_of_recordings_is_named(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        FolderCorpus(rewritten(write_corpus(tmp_path / "corpus", labels=False), change)).read_utterances()


def test_a_recording_in_both_splits_and_one_that_is_too_loud_are_said(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    (folder / "8.wav").write_bytes((folder / "0.wav").read_bytes())
    (folder / "labels" / "8.txt").write_text((folder / "labels" / "0.txt").read_text())
    loud = read_audio(folder / "1.wav").samples / 4000
    soundfile.write(folder / "1.wav", loud.astype(np.float32), RATE, subtype="FLOAT")
    notes = speech_of(folder).details["notes"]
    assert notes == [
        "1 recording has samples beyond full scale, which were clamped",
        "1 recording is in several splits, such as 0.wav and 8.wav",
    ]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_16", "PCM_24", "PCM_32"])
def test_audio_is_the_same_in_every_encoding(tmp_path: Path, subtype: str) -> None:
    samples = spoken("abc")
    soundfile.write(tmp_path / "a.wav", samples / 32768, RATE, subtype=subtype)
    assert np.array_equal(read_audio(tmp_path / "a.wav").samples, samples)


def test_audio_beyond_the_scale_is_clamped_and_of_another_scale_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.5, 1.5, -3.0, 0.0], np.float32), RATE, subtype="FLOAT")
    audio = read_audio(path)
    assert audio.samples.tolist() == [16384, 32767, -32768, 0]
    assert audio.clamped
    for samples, message in (
        ([9000.0, -3.0], "not on the scale from -1 to 1: its peak is 9,000"),
        ([np.nan], "no num"),
    ):
        soundfile.write(path, np.array(samples, np.float32), RATE, subtype="FLOAT")
        with pytest.raises(LeftOut, match=message):
            read_audio(path)


def test_audio_is_bounded_before_it_is_decoded_or_resampled(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "odd.wav", spoken("a"), 22_051)
    with pytest.raises(DataError, match=r"22,051 samples a second, .* to 16,000: .*; at most 16,000,000 are read"):
        log_mel(read_audio(tmp_path / "odd.wav"), 16_000)
    soundfile.write(tmp_path / "fast.wav", spoken("a"), 500_000)
    soundfile.write(tmp_path / "long.wav", np.zeros(4 * 3700, np.int16), 4)
    os.mkfifo(tmp_path / "pipe.wav")
    for name, message in (
        ("fast.wav", "500,000 samples a second; at most 400,000"),
        ("long.wav", "3,700 seconds of audio; at most 3,600 are read .cut it"),
        ("pipe.wav", "is not a file"),
    ):
        with pytest.raises(DataError, match=message):
            read_audio(tmp_path / name)


def test_captions_need_no_header_and_a_lone_quotation_mark_ends_with_its_line(picture_folder: Path) -> None:
    whole = read_flickr(picture_folder)
    path = picture_folder / "captions.txt"
    header, first, *rest = path.read_text().splitlines()
    assert header == "image,caption"
    path.write_text("\ufeff" + "\r\n".join([first.replace('"A', '"""A').replace('."', ".", 1), *rest]))
    found = read_flickr(picture_folder)
    assert found.splits.keys() == whole.splits.keys()
    for split, examples in whole.splits.items():
        assert [(one.picture.id, one.captions) for one in found.splits[split]] == [
            (one.picture.id, one.captions) for one in examples
        ]
    assert found.details["notes"][0] == (
        "captions.txt: 1 line has a lone quotation mark, read as it is written, such as line 1"
    )


def test_captions_that_are_blank_repeated_or_hold_invisible_characters_are_said(picture_folder: Path) -> None:
    path = picture_folder / "captions.txt"
    path.write_text(path.read_text() + 2 * "000.png,A cat that sleeps\n" + "000.png,A do\u200bg\n")
    assert read_flickr(picture_folder).details["notes"][:2] == [
        "invisible characters make other words of words: U+200B in 1 word",
        "1 caption repeats another of the same picture; each counts once more",
    ]
    path.write_text(path.read_text() + "000.png, \n")
    with pytest.raises(DataError, match="expected image,caption, has no caption"):
        read_flickr(picture_folder)


def test_pictures_in_several_splits_or_in_none_are_said(picture_folder: Path) -> None:
    for name, numbers in (("train", range(40)), ("dev", range(40, 50)), ("test", range(50, 58))):
        listing = "\n".join(f"{number:03d}.png" for number in numbers)
        (picture_folder / f"Flickr_8k.{name}Images.txt").write_text(listing + "\n")
    with (picture_folder / "captions.txt").open("a") as file:
        file.write("gone.png,A box that nobody has\n")
    (picture_folder / "Images" / "041.png").write_bytes((picture_folder / "Images" / "000.png").read_bytes())
    found = read_flickr(picture_folder)
    assert found.details["left_out"] == {"pictures in no split": 3}
    assert sorted(found.details["left_out_pictures"]) == ["058.png", "059.png", "gone.png"]
    assert "are in several splits, such as " in found.details["notes"][0]
    with (picture_folder / "Flickr_8k.testImages.txt").open("a") as file:
        file.write("007.png\n")
    with pytest.raises(DataError, match=r"testImages.txt, line 9: 007.png is in the train set already"):
        read_flickr(picture_folder)


def test_pictures_of_one_name_in_several_folders_are_several_pictures(tmp_path: Path) -> None:
    entries = []
    for number, folder in enumerate(("north", "south", "east")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4), (80 * number, 0, 0)).save(tmp_path / folder / "1.png")
        split = ("train", "val", "test")[number]
        entries.append({"filepath": folder, "filename": "1.png", "split": split, "sentences": [{"raw": folder}]})
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"images": entries}))
    found = read_karpathy(path)
    assert {split: [(one.picture.id, one.captions) for one in ones] for split, ones in found.splits.items()} == {
        "train": [("north/1.png", ("north",))],
        "validation": [("south/1.png", ("south",))],
        "test": [("east/1.png", ("east",))],
    }
    for wrong, message in (
        ([*entries, entries[0]], r"dataset.json names north/1.png twice"),
        ([{**entries[0], "filepath": "../x"}], "leads out of"),
        ([{**entries[0], "filename": "../../x.png"}], "leads out of"),
        ([{**entries[0], "sentences": 5}], r'entry 1 of images \(1.png\): "sentences" is 5, must be a list; as Karp'),
    ):
        path.write_text(json.dumps({"images": wrong}))
        with pytest.raises(DataError, match=message):
            read_karpathy(path)


def test_a_name_of_a_caption_never_leads_out(tmp_path: Path) -> None:
    folder = draw_pictures(tmp_path / "pictures", 3)
    with (folder / "captions.txt").open("a") as file:
        file.write("../captions.txt,A box\n")
    with pytest.raises(DataError, match=r"captions.txt, line 8: '../captions.txt' leads out of"):
        read_flickr(folder)
