"""Lists of files: columns are known by the titles of a header, and files by their names in any normal form."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from datamodules.captioning.examples import Example
from datamodules.captioning.photographs import read_flickr
from datamodules.errors import DataError
from datamodules.lists import NamedFiles
from datamodules.speech.corpus import Utterance
from datamodules.speech.recorded import FolderCorpus


def utterances(folder: Path, text: str) -> list[Utterance]:
    (folder / "transcripts.tsv").write_text(text)
    return FolderCorpus(folder).read_utterances()


@pytest.mark.parametrize(
    "header", ["path text speaker split", "split path text", "Speaker FILE sentence split", "\n\npath split text"]
)
def test_columns_of_recordings_are_those_that_the_header_names(tmp_path: Path, header: str) -> None:
    values = {"path": "{}.wav", "file": "{}.wav", "text": "number {}", "sentence": "number {}", "speaker": "ann"}
    titles = header.split()
    rows = []
    for number, split in enumerate(("train", "validation", "test")):
        row = [values.get(title.lower(), split) for title in titles]
        rows.append("\t".join(row).replace("{}", str(number)))
    found = utterances(tmp_path, "\n".join([header.replace(" ", "\t"), *rows]))
    assert [(one.name, one.transcript, one.split) for one in found] == [
        ("0.wav", "number 0", "train"),
        ("1.wav", "number 1", "validation"),
        ("2.wav", "number 2", "test"),
    ]
    assert {one.speaker for one in found} == ({"ann"} if "speaker" in header.lower() else {""})


@pytest.mark.parametrize(("split", "has_splits"), [("", False), ("\t\ttrain", True)])
def test_a_folder_of_recordings_tells_whether_it_names_splits(tmp_path: Path, split: str, has_splits: bool) -> None:
    (tmp_path / "transcripts.tsv").write_text("".join(f"{n}.wav\tnumber {n}{split}\n" for n in range(9)))
    corpus = FolderCorpus(tmp_path)
    corpus.read_utterances()
    assert corpus.has_splits == has_splits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\ttext\tlength\n", r"tsv:1: the header has a column 'length'; the titles path and text are needed"),
        ("path\tspeaker\n", r"tsv:1: the header has the columns path, speaker; the titles path and text are needed"),
        ("path\ttext\tsentence\n", "has the columns path, text, sentence; .* each field once"),
        ("text\tpath\none\n", r"tsv:2: expected text, tab, path: 'one'"),
        ("0.wav\tone\ttrain\n1.wav\ttwo\ttest\n", r"tsv: test and train are read as its speakers; write path, tab"),
    ],
)
def test_columns_that_would_be_taken_for_others_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        utterances(tmp_path, text)


def test_a_first_recording_that_is_missing_is_no_header(tmp_path: Path) -> None:
    found = utterances(tmp_path, "u0\tone\nu1\ttwo\nu2\tthree\n")
    assert [one.name for one in found] == ["u0", "u1", "u2"]


def test_two_recordings_never_have_one_label_file(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for first, second in (("u0.flac", "u0.wav"), ("utt.0", "utt.1")):
        text = f"{first}\tone\n{second}\ttwo\n"
        with pytest.raises(DataError, match=rf"tsv:2: {second} has the label file of {first}, line 1: .*{second}.txt"):
            utterances(tmp_path, text)
        (tmp_path / "labels" / f"{second}.txt").touch()
        files = [one.labels.name for one in utterances(tmp_path, text) if one.labels]
        assert files == [f"{first.partition('.')[0]}.txt", f"{second}.txt"]


def test_recordings_are_found_by_their_names_in_another_normal_form(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    on_disk = unicodedata.normalize("NFD", "\u00e9t\u00e9")
    (tmp_path / on_disk).mkdir()
    (tmp_path / on_disk / f"{on_disk}.wav").touch()
    (tmp_path / "labels" / on_disk).mkdir()
    (tmp_path / "labels" / on_disk / f"{on_disk}.txt").touch()
    (one,) = utterances(tmp_path, f"{on_disk}/{on_disk}.wav\tone\n")
    assert isinstance(one.audio, Path)
    assert one.audio.is_file()
    assert one.labels
    assert one.labels.is_file()


def test_a_name_of_two_files_in_two_normal_forms_is_refused(tmp_path: Path) -> None:
    for name in ("e\u0323\u0301", "e\u0301\u0323"):  # neither is normal form C
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) == 2:
        with pytest.raises(DataError, match="has two files that are named"):
            NamedFiles(tmp_path).find("\u1eb9\u0301", "the list")


def test_a_name_that_is_too_long_for_the_system_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the list: cannot be read"):
        NamedFiles(tmp_path).find("/".join(["a" * 200] * 30), "the list")


def captioned(folder: Path, text: str, names: list[str]) -> dict[str, Example]:
    for number, name in enumerate(names):
        (folder / "Images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / "Images" / name)
    (folder / "captions.txt").write_text(text)
    return {one.picture.id: one for split in read_flickr(folder).splits.values() for one in split}


@pytest.mark.parametrize(
    "text",
    [
        "\nimage,caption\na.png,A box, red\n",
        'caption,image\n"A box, red",a.png\n',
        "image,comment_number,comment\na.png,0,A box, red\n",
        "image_name| comment_number| comment\na.png| 0| A box , red\n",
    ],
)
def test_columns_of_captions_are_those_that_the_header_names(tmp_path: Path, text: str) -> None:
    assert captioned(tmp_path, text, ["a.png"])["a.png"].captions == ("a box red",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,image,caption\n0,a.png,A box\n", r"captions.txt, line 1: the header has a column 'id'"),
        ("a.png,0,A box\na.png,1,Red\n", "2 of 2 captions begin with a number and a comma; if it is no part of"),
        ("a.png,0,A box\na.png,1 Red\na.png,2,Blue\n", "2 of 3 captions begin with a number and a comma"),
        ("caption,image\nA box, red,a.png\n", r"captions.txt, line 2: expected caption,image"),
    ],
)
def test_columns_of_captions_that_are_not_known_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        captioned(tmp_path, text, ["a.png"])


@pytest.mark.parametrize(
    "cell",
    [
        "\"['a dog runs', 'the dog']\"",
        '"[""it\'s a dog"", \'b\']"',
        '"[""a dog"", ""b""]"',
        "['a dog']",
        "['a dog' 'b']",
        "['a', 'b',]",
    ],
)
def test_a_list_in_the_place_of_a_caption_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=r"captions.txt, line 2: the caption is a list, \[.*; give each caption a line"):
        captioned(tmp_path, f"a.png,A box\na.png,{cell}\n", ["a.png"])


@pytest.mark.parametrize("caption", ["[a dog] runs", "'a', 'b'", "[a, b]", "['" + "a' " * 40])
def test_a_caption_in_brackets_is_no_list(tmp_path: Path, caption: str) -> None:
    assert len(captioned(tmp_path, f"a.png,A box\na.png,{caption}\n", ["a.png"])["a.png"].captions) == 2


def test_a_file_of_captions_without_a_line_has_none(tmp_path: Path) -> None:
    assert captioned(tmp_path, "image,caption\n", ["a.png"]) == {}


def test_pictures_are_found_in_folders_and_in_another_normal_form(tmp_path: Path) -> None:
    on_disk = unicodedata.normalize("NFD", "\u00e9.png")
    found = captioned(tmp_path, f"a/0.png,A box\n{on_disk},Red\n./a/0.png,Blue\n", ["a/0.png", on_disk])
    assert {name: one.captions for name, one in found.items()} == {"a/0.png": ("a box", "blue"), "\u00e9.png": ("red",)}


def test_files_that_are_no_pictures_are_not_pictures_without_captions(tmp_path: Path) -> None:
    captioned(tmp_path, "a.png,A box\n", ["a.png", "b/c.png", "b/.d.png"])
    for name in (".DS_Store", "Thumbs.db"):
        (tmp_path / "Images" / name).touch()
    assert read_flickr(tmp_path).details["left_out_pictures"] == {"b/c.png": "pictures without captions"}
