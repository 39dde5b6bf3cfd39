"""Manifests of recorded speech: folders, and splits."""

import pytest

from datamodules.errors import DataError
from datamodules.speech.recorded import FolderCorpus, open_corpus
from datamodules.speech.splits import halve, phrases, shared_phrases, split_prompts, words_of


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "transcripts.tsv is missing; a speech folder holds audio and transcripts.tsv"),
        (b"", "transcripts.tsv is empty"),
        (b"a.wav one\n", r"transcripts.tsv:1: expected path, tab, text"),
        (b"a.wav\tone\tme\tdev\n", "transcripts.tsv:1: the split is 'dev', must be train, validation or test"),
        (b"a.wav\tone\t\tTrain\n", "transcripts.tsv:1: the split is 'Train', must be train, validation or test"),
        (b"a.wav\tone\tTrain\nb.wav\ttwo\tTest\n", "tsv: Test and Train are read as its speakers; write path, tab"),
        (b"a.wav\tone\ttraining\nb.wav\ttwo\teval\n", "eval and training are read as its speakers"),
        (b"a.wav\tone\tDEVEL\nb.wav\ttwo\tevaluation\n", "DEVEL and evaluation are read as its speakers"),
        (b"a.wav\tone\ttesting\n", "testing are read as its speakers"),
        (
            b"a.wav\tone\tme\ttest\n\nb.wav\ttwo\nc.wav\ttwo\tme\n",
            "transcripts.tsv:3: no split, but other lines have one; give every line a split, or none",
        ),
        (b"path\ttext\tsplit\na.wav\tone\t\nb.wav\ttwo\ttrain\n", "transcripts.tsv:2: no split, but other lines"),
        (
            b"0.wav\thello\n1.wav\tgood\tmorning\n2.wav\tbye\n",
            "transcripts.tsv:2: 'morning' is read as the speaker, but line 1 ends before that column; put no tab in a",
        ),
        (b"path\ttext\tspeaker\n0.wav\thello\tann\n1.wav\tbye\n", "tsv:2: 'ann' is read .* line 3 ends before"),
        (b"a.wav hello\n", r"transcripts.tsv:1: expected path, tab, text .*: 'a.wav hello', which has no tab"),
        (
            b"b.wav\ttwo\t\ttest\na.wav hello\ttrain\n",
            "transcripts.tsv:2: 'a.wav hello' is read as the name of a recording; write a tab after a.wav",
        ),
        (b"a.FLAC  hello\t\ttrain\n", "transcripts.tsv:1: 'a.FLAC  hello' is .*; write a tab after a.FLAC"),
        (b"a.wav\t\xe9\n", "transcripts.tsv, line 1: not UTF-8"),
    ],
)
def test_a_bad_manifest_is_one_line(tmp_path, content, message) -> None:
    if content is not None:
        (tmp_path / "transcripts.tsv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        FolderCorpus(tmp_path).read_utterances()


def test_missing_named_sources_say_what_to_do(tmp_path) -> None:
    with pytest.raises(DataError, match=r"asterisk-en/transcripts.tsv is missing; unpack asterisk-core-sounds-en-wav"):
        open_corpus("asterisk-en", tmp_path).fetch()
    with pytest.raises(DataError, match=r"samromur/metadata.tsv is missing; unpack Samrómur 21.05"):
        open_corpus("samromur", tmp_path).fetch()


def test_the_same_prompt_is_never_in_two_splits() -> None:
    prompts = [f"prompt number {n}" for n in range(1000)]
    splits = split_prompts([*prompts, *(f"Prompt,  number {n}!" for n in range(1000))])
    assert splits[:1000] == splits[1000:]
    assert 100 < splits[:1000].count("validation") < 200
    assert 100 < splits[:1000].count("test") < 200


def test_prompts_that_share_a_phrase_are_in_one_split_and_the_order_of_lines_does_not_matter() -> None:
    prompts = [f"{n} {n} {n} {n} and {n} and {n}" for n in range(200)]
    prompts += [f"so {n} {n} {n} {n}" for n in range(200)]  # shares its phrase with the prompt of the same number
    splits = split_prompts(prompts)
    assert splits[:200] == splits[200:]
    assert shared_phrases(zip(prompts, splits, strict=True)) == {"validation": 0, "test": 0}
    assert split_prompts(prompts[::-1]) == splits[::-1]


def test_a_phrase_in_all_prompts_leaves_whole_texts_apart_and_its_share_is_told() -> None:
    prompts = [f"please call the number {n}" for n in range(100)]
    splits = split_prompts(prompts)
    assert set(splits) == {"train", "validation", "test"}
    held_out = splits.count("test")
    # Of the phrases "please call the number" and "call the number N", only the first is in the training set as well.
    assert shared_phrases(zip(prompts, splits, strict=True))["test"] == pytest.approx(1 / (held_out + 1))


def test_phrases_are_runs_of_four_words() -> None:
    assert phrases("One, two three four FIVE.") == {"one two three four", "two three four five"}
    assert phrases("Thank you!") == {"thank you"}


def test_words_keep_the_marks_that_combine_with_their_letters() -> None:
    hindi = "\u092e\u0948\u0902 \u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902 "
    hindi += "\u092c\u094b\u0932\u0924\u093e \u0939\u0942\u0901"
    assert words_of(f"{hindi}.") == hindi.split()
    assert len(hindi.split()) == 5
    assert words_of("It's re-entered: A_1, \u00bd 3.5 \u00c9t\u00e9!") == [
        "it", "s", "re", "entered", "a_1", "\u00bd", "3", "5", "\u00e9t\u00e9",
    ]  # fmt: skip


def test_a_folder_without_a_test_set_has_half_of_its_validation_set_as_one(tmp_path, caplog) -> None:
    lines = ["a.wav\tone\t\ttrain", *(f"{n}.wav\tnumber {n // 2}\t\tvalidation" for n in range(8))]
    (tmp_path / "transcripts.tsv").write_text("\n".join(lines))
    found = FolderCorpus(tmp_path).read_utterances()
    splits = [each.split for each in found]
    assert splits[0] == "train"
    assert splits[1::2] == splits[2::2]  # the same text twice
    assert splits.count("validation") == splits.count("test") == 4
    assert "names no test set: 4 of its 8 validation lines are it" in caplog.text
    assert halve(["one"]) == ["validation"]


@pytest.mark.parametrize("split", ["", "\t\ttrain"])
def test_nothing_is_said_of_a_test_set_where_there_is_nothing_to_make_one_of(tmp_path, caplog, split: str) -> None:
    (tmp_path / "transcripts.tsv").write_text("".join(f"{n}.wav\tnumber {n}{split}\n" for n in range(6)))
    assert {each.split for each in FolderCorpus(tmp_path).read_utterances()} == {"train"}
    assert not caplog.records


def test_recordings_that_the_list_does_not_name_are_counted(tmp_path) -> None:
    """In folders too; neither other files nor hidden ones, nor those that are named in another spelling."""
    for name in ("a.wav", "b.WAV", "more/c.flac", "d.txt", ".e.wav", ".f/g.wav", "h\u0301.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    lines = ["./a.wav\tone", "h\u0301.wav\tthree"]
    (tmp_path / "transcripts.tsv").write_text("\n".join(lines) + "\n")
    corpus = FolderCorpus(tmp_path)
    assert len(corpus.utterances) == 2
    assert corpus.notes == ("transcripts.tsv: 2 recordings are not named in it and not read, such as b.WAV",)
    (tmp_path / "transcripts.tsv").write_text("\n".join([*lines, "b.WAV\ttwo"]) + "\n")
    corpus = FolderCorpus(tmp_path)
    assert len(corpus.utterances) == 3
    assert corpus.notes == ("transcripts.tsv: 1 recording is not named in it and not read, such as more/c.flac",)
    (tmp_path / "more" / "c.flac").unlink()
    corpus = FolderCorpus(tmp_path)
    assert len(corpus.utterances) == 3
    assert corpus.notes == ()


def test_label_files_of_no_recording_are_counted(tmp_path) -> None:
    """The second one of a recording too: 1.wav has 1.wav.txt, so that 1.txt is of no recording."""
    (tmp_path / "labels" / "more").mkdir(parents=True)
    for name in ("0.txt", "1.txt", "1.wav.txt", "more/2.wav.txt", ".hidden.txt", "README.md"):
        (tmp_path / "labels" / name).touch()
    for text, notes in (
        ("0.wav\tone\n1.wav\ttwo\n", ("2 label files belong to no recording, such as labels/1.txt",)),
        ("0.wav\ta\nmore/2.wav\tb\n1.wav\tc\n", ("1 label file belongs to no recording, such as labels/1.txt",)),
        ("0.wav\ta\nmore/2.wav\tb\n1.wav\tc\n1.flac\td\n", ()),
    ):
        (tmp_path / "transcripts.tsv").write_text(text)
        corpus = FolderCorpus(tmp_path)
        assert [each.labels for each in corpus.utterances if not each.labels] == []
        assert corpus.notes == notes


def test_a_speaker_may_be_named_in_some_lines_if_the_others_say_that_they_name_none(tmp_path) -> None:
    (tmp_path / "transcripts.tsv").write_text("0.wav\thello\tann\n1.wav\tgood morning\t\n")
    assert [each.speaker for each in FolderCorpus(tmp_path).read_utterances()] == ["ann", ""]


def test_names_of_recordings_may_have_spaces(tmp_path) -> None:
    (tmp_path / "a.wav old").touch()
    (tmp_path / "transcripts.tsv").write_text("a.wav old\tone\na.wav copy.wav\ttwo\nb wav\tthree\n")
    found = FolderCorpus(tmp_path).read_utterances()
    assert [each.name for each in found] == ["a.wav old", "a.wav copy.wav", "b wav"]
