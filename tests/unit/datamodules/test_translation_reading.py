"""Sentence pairs as users have them: what is read is what was meant, or it is said."""

import codecs
import gzip
import os
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules import cache
from datamodules.errors import DataError
from datamodules.sources import SourceFile, sha256_of
from datamodules.translation import encoded_pairs, sources
from datamodules.translation.datamodule import TranslationData
from datamodules.translation.tokenization import bleu_rules, detokenize, note_not_joined, tokenize
from datamodules.vocabulary import EOS, UNK


def data_of(folder: Path) -> TranslationData:
    data = TranslationData(str(folder), folder, ("en", "fr"), 4, max_length=8, source_words=50, target_words=50)
    data.setup()
    return data


def test_a_damaged_preparation_is_made_again(translation_folder: Path, monkeypatch, caplog) -> None:
    whole = data_of(translation_folder)
    (folder,) = translation_folder.glob("prepared/*")
    for name in ("about.json", "target.ids", "pairs.marks"):
        monkeypatch.setattr(cache, "_checked", set())  # as in another process
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        data = data_of(translation_folder)
        assert data.sentences == whole.sentences
        assert data.sha256 == whole.sha256
    assert caplog.text.count("is damaged or cannot be read: it is made again") == 3


def test_another_text_of_the_same_size_and_date_is_another_text(translation_folder: Path) -> None:
    before, path = data_of(translation_folder), translation_folder / "train.fr"
    time, text = path.stat().st_mtime_ns, path.read_text()
    path.write_text(text.replace("chat", "loup"))
    os.utime(path, ns=(time, time))
    after = data_of(translation_folder)
    assert "loup" in after.target_vocabulary.words
    assert after.sha256 != before.sha256


def test_a_text_that_changes_while_it_is_prepared_is_refused(translation_folder: Path, monkeypatch) -> None:
    path, encode = translation_folder / "train.fr", encoded_pairs.encode
    text = path.read_text()

    def change(*arguments) -> None:
        path.write_text(text.replace("chat", "loup"))
        encode(*arguments)

    monkeypatch.setattr(encoded_pairs, "encode", change)
    with pytest.raises(DataError, match=f"{translation_folder} changed while it was prepared"):
        data_of(translation_folder)
    monkeypatch.undo()
    path.write_text(text)
    assert "loup" not in data_of(translation_folder).target_vocabulary.words


def test_text_is_read_however_it_was_saved(translation_folder: Path, tmp_path: Path) -> None:
    plain = data_of(translation_folder)
    other = shutil.copytree(translation_folder, tmp_path / "other")
    for path in other.glob("*.*"):
        if path.is_file():
            text = "".join(f"{line} {EOS}\r" for line in path.read_text().splitlines())
            path.write_bytes(codecs.BOM_UTF8 + unicodedata.normalize("NFD", text).encode())
    data = data_of(other)
    assert data.sha256 == plain.sha256
    assert data.sentences == plain.sentences
    assert "train: 120 lines end in <eos>, which is not added again" in data.details["notes"]
    (other / "val.fr").write_text(f"un {EOS} deux\n" * 9)
    with pytest.raises(DataError, match="validation pair 1: <eos> stands within the line"):
        data_of(other)


def test_pairs_that_are_trained_on_as_well_are_counted(translation_folder: Path) -> None:
    for language in ("en", "fr"):
        known = (translation_folder / f"train.{language}").read_text().splitlines()[:2]
        same = [f" {known[0]} ", known[1].replace(" ", "  ")]  # which has the same words
        (translation_folder / f"test.{language}").write_text("\n".join([*same, "zebra zebra"]) + "\n")
    data = data_of(translation_folder)
    assert "test: 2 of 3 pairs are in the training text too" in data.details["notes"]
    assert data.details["unknown_words"]["test"] > 0
    assert "test: 2 of 3 pairs are in the validation text too" in data.details["notes"]
    for language in ("en", "fr"):
        held_out = (translation_folder / f"val.{language}").read_text()
        (translation_folder / f"val.{language}").write_text(held_out + "zebra  zebra \n")
    assert "test: 3 of 3 pairs are in the validation text too" in data_of(translation_folder).details["notes"]


def test_sources_that_are_trained_on_with_another_target_are_counted(translation_folder: Path) -> None:
    known = (translation_folder / "train.en").read_text().splitlines()[:3]
    (translation_folder / "test.en").write_text("\n".join([*known, "zebra zebra"]) + "\n")
    translated = (translation_folder / "train.fr").read_text().splitlines()[0]
    (translation_folder / "test.fr").write_text(f"{translated}\nun\ndeux\ntrois\n")
    notes = data_of(translation_folder).details["notes"]
    assert "test: 1 of 4 pairs are in the training text too" in notes
    assert "test: 2 of 4 sources are in the training text too, with another target" in notes


def test_words_with_characters_that_nobody_sees_are_counted(translation_folder: Path) -> None:
    path = translation_folder / "train.fr"
    path.write_text(path.read_text().replace("chat", "ch\u200bat", 3))
    (translation_folder / "test.en").write_text((translation_folder / "test.en").read_text().replace(" ", "\xad ", 1))
    for _ in range(2):  # the second time from the text that is prepared
        notes = data_of(translation_folder).details["notes"]
        assert "train: invisible characters make other words of words: U+200B in 3 words" in notes
        assert "test: invisible characters make other words of words: U+00AD in 1 word" in notes


def test_entities_of_html_and_pairs_that_are_copies_are_counted(translation_folder: Path) -> None:
    """Moses splits an entity into three words, and a model of copies learns to copy, with a BLEU near 100."""
    assert not any("HTML" in note or "both sides" in note for note in data_of(translation_folder).details["notes"])
    with (translation_folder / "train.en").open("a") as english, (translation_folder / "train.fr").open("a") as french:
        english.write("red &amp; blue\nAT&T\na &nothing; b\n")
        french.write("rouge &#38; bleu\nAT&T\nb\n")
    (translation_folder / "test.fr").write_text((translation_folder / "test.en").read_text())
    notes = data_of(translation_folder).details["notes"]
    assert [note[:46] for note in notes if "HTML" in note] == ["train: 2 lines have entities of HTML, such as "]
    count = len((translation_folder / "test.en").read_text().splitlines())
    assert f"test: {count} of {count} pairs have the same words on both sides" in notes


def test_chinese_is_split_as_for_its_bleu() -> None:
    assert tokenize("我爱 PyTorch 2.0。", "zh") == ["我", "爱", "PyTorch", "2.0", "。"]
    assert detokenize(["我", "爱", "the", "sea", "。"], "zh-CN") == "我爱the sea。"
    assert (bleu_rules("zh_TW"), bleu_rules("ja"), bleu_rules("fr")) == ("zh", "ja-mecab", "13a")
    with pytest.raises(DataError, match="th is written without spaces, and sacrebleu has no rules"):
        tokenize("ฉันรักคุณ", "th")


def test_a_vocabulary_of_nothing_is_never_trained_on(translation_folder: Path) -> None:
    lines = (f"mot{number}\n" for number in range(60))
    (translation_folder / "train.fr").write_text("".join(lines))
    with pytest.raises(DataError, match="target: no word is left to learn but <eos> and <unk>; words must occur 2"):
        data_of(translation_folder)


def test_an_unknown_word_of_the_text_stays_one() -> None:
    assert tokenize("the <unk> sees <unk>.", "en") == ["the", UNK, "sees", UNK, "."]


def test_files_beside_the_published_ones_are_not_read(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "multi30k"
    folder.mkdir()
    for file in sources.MULTI30K.files:
        (folder / file.name).write_bytes(gzip.compress(b"a dog .\na cat .\n", mtime=0))
    published = tuple(SourceFile(file.name, sha256_of(folder / file.name)) for file in sources.MULTI30K.files)
    monkeypatch.setattr(sources, "MULTI30K", replace(sources.MULTI30K, files=published))
    monkeypatch.setattr(sources, "MULTI30K_PAIRS", dict.fromkeys(sources.SPLITS, 2))
    (folder / "test_2016_flickr.fr").write_text("a lion .\na cat .\n")  # of as many lines, so that no count tells
    text = sources.read_parallel_text("multi30k", tmp_path, ("en", "fr"))
    assert list(text.splits["test"]) == [("a dog .", "a dog ."), ("a cat .", "a cat .")]


def test_a_text_that_is_there_twice_is_refused(translation_folder: Path) -> None:
    path = translation_folder / "test.fr"
    path.with_name("test.fr.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"has one text in test\.fr and test\.fr\.gz; leave there the one to be read"):
        data_of(translation_folder)
    path.unlink()
    data_of(translation_folder)


@pytest.mark.parametrize("language", ["fr", "fr-CA", "fra", "FR", "fre"])
def test_a_language_has_its_rules_by_any_of_its_codes(language: str) -> None:
    text = "L'homme n'est pas l'ami d'une femme."
    assert tokenize(text, language)[:3] == ["L'", "homme", "n'"]
    assert detokenize(tokenize(text, language), language) == text
    assert bleu_rules({"fra": "zho", "fre": "chi"}.get(language, "zh-TW")) == "zh"


def test_references_that_their_own_words_do_not_give_are_counted() -> None:
    straight = "L'homme n'est pas là."
    assert note_not_joined([straight] * 3, "fr") == []
    (note,) = note_not_joined([straight, straight.replace("'", "\u2019")], "fr", "test: ")
    assert note.startswith("test: 1 of 2 references are not what sacremoses")
    assert "it knows straight apostrophes" in note
    (note,) = note_not_joined(["Wie geht's dir heute?"], "de")
    assert "test_bleu_tokenized does not" in note
    assert "straight" not in note
    assert note_not_joined([*[straight] * 99, "l ' ami"], "fr") == []  # one in a hundred may be
