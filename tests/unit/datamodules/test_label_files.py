"""Label files that are not states alone: an id, a heading or a list would move or rename the states in silence."""

from pathlib import Path

import pytest
from support.corpora import RATE, write_corpus

from datamodules.speech import preparation
from datamodules.speech.alignment import Aligner
from datamodules.speech.features import LeftOut
from datamodules.speech.label_files import headed, read_labels
from datamodules.speech.preparation import Prepared, prepare
from datamodules.speech.recorded import FolderCorpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", labels=True)


def change(folder: Path, number: int, change) -> None:
    path = folder / "labels" / f"{number}.txt"
    path.write_text(change(path.read_text()))


def prepared(folder: Path) -> Prepared:
    return prepare(FolderCorpus(folder), "", RATE, folder.parent)


@pytest.mark.parametrize("heading", ["utt-{} ", "label\n", "# labels\n", "#labels\n", "17{}\n"])
def test_an_id_or_a_heading_before_the_labels_is_no_state(folder: Path, heading: str) -> None:
    """Taken for the state of frame 0, it would move each label by a frame, and the last one would be cut off."""
    for number in range(1, 4):
        change(folder, number, lambda text, number=number: heading.format(number) + text)
    found = prepared(folder)
    assert found.reasons == {"label file begins with an id or a heading before the labels": 3}
    first = heading.format(1).split()[0]
    assert f": '{first}' is the state of no other frame, and there are " in found.left_out["1.wav"]
    assert first not in found.states
    assert found.notes == []


def test_an_id_is_noted_where_the_number_of_labels_does_not_tell(folder: Path) -> None:
    change(folder, 1, lambda text: f"utt-1 {text.rpartition(' ')[0]}")
    found = prepared(folder)
    assert found.reasons == {}
    (note,) = found.notes
    assert note.startswith("1 label file begins with a state that no other frame has; if that is an id or a heading")


def test_a_label_too_many_at_the_end_is_cut_as_before(folder: Path) -> None:
    """A first state that has one frame in its own file, but others elsewhere, is a state."""
    change(folder, 1, lambda text: f"x {text.partition(' ')[2]} sil.1")
    change(folder, 2, lambda text: f"{text.rpartition(' ')[0]} x")
    found = prepared(folder)
    assert found.reasons == {}
    (note,) = found.notes
    assert note.startswith("1 label file has up to 3 labels too many or too few")


@pytest.mark.parametrize(
    ("labels", "odd"),
    [
        ("[0, 0, 1, 4]", "[0,"),
        ("[0 0 1 4]", "[0"),
        ("[[0]\n [0]\n [1]\n [4]]", "[[0]"),
        ("(0, 0, 1, 4)", "(0,"),
        ('{"labels": ["a", "b"], "c": 1}', '["a",'),
        ("0.00,a\n0.01,a\n0.02,b\n0.03,b\n", "0.00,a"),
        ("'a' 'b' 'a' 'a'", "'a'"),
        ('"a b a a"', '"a'),
    ],
)
def test_a_list_of_some_language_is_left_out_for_what_it_is(tmp_path: Path, labels: str, odd: str) -> None:
    (tmp_path / "a.txt").write_text(labels)
    with pytest.raises(LeftOut) as left_out:
        read_labels(tmp_path / "a.txt", 4)
    right = "write states alone, without brackets, commas and quotation marks around them"
    assert str(left_out.value) == f"label file is not states separated by spaces: {odd!r} is none; {right}"


def test_states_may_have_names_of_phonetic_alphabets(tmp_path: Path) -> None:
    names = ["h#", "#", "[sil]", "<sil>", "(sp)", '"E', "{.0", ",a", "t'", "@`", "3:", "AH0_B.1", "e\u032f", "-7"]
    (tmp_path / "a.txt").write_text(" ".join(names))
    assert read_labels(tmp_path / "a.txt", len(names)) == (names, False)


def test_files_that_cannot_be_read_have_no_heading(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x 1 2")
    (tmp_path / "b.txt").write_bytes(b"y \xff")
    (tmp_path / "c.txt").touch()
    assert headed([None, *(tmp_path / f"{name}.txt" for name in "abcd")]) == {"x"}


def test_words_in_round_brackets_that_are_aligned_are_counted(tmp_path: Path, monkeypatch) -> None:
    class OneState(Aligner):
        parallel = False

        def align(self, audio, transcript, frames) -> list[str]:
            return ["a.0"] * frames

    monkeypatch.setattr(preparation, "make_aligner", lambda _: OneState())
    folder = write_corpus(tmp_path / "corpus", labels=False)
    text = (folder / "transcripts.tsv").read_text()
    (folder / "transcripts.tsv").write_text(text.replace("\t\ttest", " (um)\t\ttest"))
    assert prepared(folder).notes == [
        "2 transcripts have words in round brackets, which are aligned as if they were spoken"
    ]
