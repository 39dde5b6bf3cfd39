"""Text that was prepared for another program: its markers, pieces of words and marks of unknown words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.sharing.own_texts import read_text
from datamodules.captioning.photographs import read_flickr
from datamodules.errors import DataError
from datamodules.language_modeling.sources import read_corpus
from datamodules.oddities import Oddities
from datamodules.translation.datamodule import TranslationData
from datamodules.translation.sources import WithoutEos


def change(path: Path, each: Callable[[str], str]) -> None:
    """Change each line of a file."""
    path.write_text("".join(f"{each(line)}\n" for line in path.read_text().splitlines()))


def of(*lines: str) -> Oddities:
    return Oddities.of(lines)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["a dog </s>", "", "the cat runs </s>"],
            "x: 2 of 2 lines end in '</s>', a marker that would count as a word;",
        ),
        (["<s> a b </s>", "<s> c d </s>"], "x: 2 of 2 lines begin with '<s>' and 2 of 2 lines end in '</s>', markers "),
        (["a dog [EOS]"], "1 of 1 lines end in '[EOS]'"),
        (["a dog.<|endoftext|>", "cats.<|endoftext|>"], r"lines end in '<\|endoftext\|>'"),
        (["startseq a dog endseq"] * 2, "begin with 'startseq' and 2 of 2 lines end in 'endseq'"),
        (["<start>a dog<end>", "<start>a cat<end>"], "begin with '<start>' and 2 of 2 lines end in '<end>'"),
        (["&lt;s&gt; a dog"] * 2, "begin with '&lt;s&gt;'"),
        (["START_ a dog _END"] * 2, "begin with 'START_' and 2 of 2 lines end in '_END'"),
        (["[a] b c"] * 39 + ["d"], r"39 of 40 lines begin with '\[a\]'"),
    ],
)
def test_markers_at_the_ends_are_refused(lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message.replace("[EOS]", r"\[EOS\]")):
        of(*lines).refuse_markers("x")


@pytest.mark.parametrize(
    "lines",
    [
        ["a dog runs .", "the cat runs ."] * 50,
        ["- a dog runs !", "- the cat runs !"] * 50,
        ["a <unk>", "the <unk>"] * 50,
        ["[laughs] a dog"] * 10,
        ["a dog of a man", "a cat of a woman"] * 50,
        ["1 a", "2 b"] * 50,
        ["ek kutta है।", "do है।"] * 50,
        ["<p>a", "b</p>", "c"] * 50,
    ],
)
def test_ordinary_ends_are_left_alone(lines: list[str]) -> None:
    found = of(*lines)
    found.refuse_markers("x")
    assert not [note for note in found.notes() if "begin with" in note or "[" in note]


def test_other_words_at_the_ends_are_noted() -> None:
    found = of(*(f"start a dog {number}" for number in range(40)))
    found.refuse_markers("x")
    assert found.notes("train: ") == ["train: 40 of 40 lines begin with 'start'; if it is a marker, remove it"]
    assert of(*["a < / s >", "b < / s >"] * 20).notes() == ["40 of 40 lines end in '>'; if it is a marker, remove it"]
    found = of(*["a dog </s>"] * 3, *(f"a dog {number}" for number in range(40)))
    found.refuse_markers("x")
    assert "3 of 43 lines end in '</s>'; if it is a marker, remove it" in found.notes()


def test_markers_are_found_in_a_long_text() -> None:
    found = of("a title", *(f"a{number} </s>" for number in range(12_000)))
    with pytest.raises(DataError, match="12,000 of 12,001 lines end in '</s>'"):
        found.refuse_markers("x")
    assert len(found.ends["lines"].first) <= 10_000


@pytest.mark.parametrize("text", ["le ch@@ ien court", "\u2581le \u2581chi en", "le chi ##en", "le chi \uffeden"])
def test_subwords_are_refused_where_running_text_is_expected(text: str) -> None:
    found = of(*["le chien"] * 9, text)
    with pytest.raises(DataError, match=r"x: 1 of 10 sentences are split into subwords, such as '.*'; give running"):
        found.refuse_pieces("x")
    assert "1 of 10 are split into subwords, such as " in found.notes()[0]


@pytest.mark.parametrize(
    "text", ["## Titre", "##Titre", "@@ -1,3 +1,4 @@", "a @@ b", "\u2581\u2582\u2585", "##nom## a"]
)
def test_signs_that_make_no_subword_are_left_alone(text: str) -> None:
    found = of(text)
    found.refuse_pieces("x")
    assert found.notes() == []


def test_other_marks_of_unknown_words_are_counted() -> None:
    assert of("the &lt;unk&gt; [UNK] drunk <unk>", "a < unk > UNK <UNKNOWN> [UNK]").notes()[1] == (
        "6 marks are no <unk> and read as written: '[UNK]' (2), '&lt;unk&gt;' (1), '< unk >' (1), 'UNK' (1), "
        "'<UNKNOWN>' (1); <unk> alone is unknown"
    )


def test_a_text_with_markers_is_refused_wherever_it_is_read(text_folder: Path) -> None:
    change(text_folder / "test.txt", lambda line: f"{line} </s>")
    with pytest.raises(
        DataError, match=r"test.txt: 31 of 31 lines end in '</s>'.*; remove it, as the suite adds <eos>"
    ):
        read_corpus(str(text_folder), text_folder)
    with pytest.raises(DataError, match=r"test.txt: 31 of 31 lines end in '</s>'"):
        read_text(text_folder / "test.txt")


def test_a_text_from_moses_is_said_wherever_it_is_read(text_folder: Path) -> None:
    path = text_folder / "test.txt"
    path.write_text("the &lt;unk&gt; dog &apos;s<unk> ch@@ at\nthe cat\n")
    of_corpus = [note.removeprefix("test: ") for note in read_corpus(str(text_folder), text_folder).details["notes"]]
    for notes in (of_corpus, read_text(path)[1]):
        assert any(note.startswith("1 word has <unk> as a part, such as '&apos;s<unk>'") for note in notes)
        assert any(note.startswith("1 line has entities of HTML, such as &amp;") for note in notes)
        assert "1 mark is no <unk> and read as written: '&lt;unk&gt;' (1); <unk> alone is unknown" in notes
        assert "1 of 2 are split into subwords, such as 'ch@@'; perplexity is then that of pieces" in notes
    running = read_text(path, running=True)[1]
    assert any("entities of HTML" in note for note in running)


def data_of(folder: Path) -> TranslationData:
    data = TranslationData(str(folder), folder, ("en", "fr"), 4, max_length=8, source_words=50, target_words=50)
    data.setup()
    return data


@pytest.mark.parametrize("split", ["train", "test"])
def test_targets_with_markers_are_refused_and_sources_noted(translation_folder: Path, split: str) -> None:
    change(translation_folder / f"{split}.en", lambda line: f"<s> {line}")
    count = len((translation_folder / f"{split}.en").read_text().splitlines())
    for _ in range(2):  # the second time from the text that is prepared
        notes = data_of(translation_folder).details["notes"]
        assert f"{split}: {count} of {count} sources begin with '<s>'; if it is a marker, remove it" in notes
    change(translation_folder / f"{split}.fr", lambda line: f"[start] {line} [end]")
    message = (
        rf"pairs, {split}: {count} of {count} targets begin with '\[start\]' and {count} of {count} targets end in"
    )
    with pytest.raises(DataError, match=message):
        data_of(translation_folder)


def test_pairs_that_are_split_into_subwords_are_refused(translation_folder: Path) -> None:
    change(translation_folder / "train.fr", lambda line: line.replace("chien", "ch@@ ien"))
    with pytest.raises(DataError, match=r"pairs, train: .* of 120 sentences are split into subwords, such as 'ch@@'"):
        data_of(translation_folder)
    with pytest.raises(DataError, match=r"^mine: 1 of 2 sentences are split into subwords, such as '\u2581chien'"):
        list(WithoutEos([("dog", "\u2581chien")], "mine,"))


@pytest.mark.parametrize(("begin", "end"), [("startseq", "endseq"), ("<start>", "<end>"), ("&lt;s&gt;", "&lt;/s&gt;")])
def test_captions_with_markers_are_refused(picture_folder: Path, begin: str, end: str) -> None:
    path = picture_folder / "captions.txt"
    path.write_text(path.read_text().replace('.png,"A', f'.png,"{begin} A').replace(' ."\n', f' {end}"\n'))
    change(path, lambda line: line if begin in line or "image" in line else line.replace(",", f",{begin} ") + f" {end}")
    with pytest.raises(DataError, match=r"captions.txt: \d+ of \d+ \w+ captions begin with .* end in .*; remove them"):
        read_flickr(picture_folder)
