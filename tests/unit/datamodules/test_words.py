"""Words by the rules of their script."""

import re
from collections import Counter

import pytest
import regex

from datamodules.captioning.examples import words
from datamodules.errors import DataError
from datamodules.language_modeling.sources import sentences, tokens_of
from datamodules.translation.tokenization import tokenize
from datamodules.vocabulary import EOS, UNK, invisible, without_eos
from datamodules.words import require_words, words_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man 's T-shirt, 1,200 o'clock!", ["A", "man", "s", "T-shirt", "1,200", "o'clock"]),
        ("हरा त्रिभुज बाईं ओर है।", ["हरा", "त्रिभुज", "बाईं", "ओर", "है"]),
        ("می\u200cخواهم کتابْ را", ["می\u200cخواهم", "کتابْ", "را"]),
        ("যুক্তি, தமிழ்", ["যুক্তি", "தமிழ்"]),
        ("x\u0323 und Grün_weiß", ["x\u0323", "und", "Grün", "weiß"]),
        ("a <unk> dog", ["a", UNK, "dog"]),
        (
            "a dog,running fast,1,200 miles at www.a.org",
            ["a", "dog", "running", "fast", "1,200", "miles", "at", "www.a.org"],
        ),
    ],
)
def test_words_keep_their_marks(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


def test_captions_are_lower_case_words_of_any_script() -> None:
    assert words("A man 's T-shirt, 1,200 O\u2019Clock !") == "a man s t-shirt 1,200 o'clock"
    assert words("ΜΙΑ Γάτα. ΚΌΚΚΙΝΟ") == "μια γάτα κόκκινο"


@pytest.mark.parametrize(
    "sentence", ["夏天一个女人在路上睡觉 。", "彼は毎日学校に行きます 。", "ฉันอยากกินข้าวผัดกุ้ง", "ខ្ញុំចង់ទៅសាលារៀនឥឡូវនេះ"]
)
def test_words_that_are_not_told_apart_are_refused(sentence: str) -> None:
    with pytest.raises(DataError, match=r"text: its words are not told apart .*; separate them"):
        require_words(Counter(sentence.split() * 3 + ["2024", EOS]), "text", "separate them")


@pytest.mark.parametrize(
    "sentence",
    [
        "夏天 一 个 女人 在 路上 睡觉 。",
        "彼 は 毎日 学校 に 行き ます 。",
        "ฉัน อยาก กิน ข้าวผัด กุ้ง",
        "한국어에는 띄어쓰기가 있다",
        "हरा त्रिभुज",
    ],
)
def test_words_that_are_told_apart_are_taken(sentence: str) -> None:
    require_words(Counter(sentence.split()), "text", "separate them")


def test_a_text_without_a_word_is_refused() -> None:
    with pytest.raises(DataError, match="text: no word is left to learn but <eos> and <unk>; right"):
        require_words({EOS: 3, UNK: 9}, "text", "right")


def test_an_end_that_is_there_is_taken() -> None:
    assert without_eos("a b <eos>", "x") == ("a b", True)
    assert without_eos(" a < eos > b ", "x") == (" a < eos > b ", False)
    for line in ("a <eos> b", "a <eos> <eos>", "a <EOS> b", "<eos> a"):
        with pytest.raises(DataError, match="x, line 3: <eos> stands within the line"):
            without_eos(line, "x, line 3")
    assert without_eos("a b <EOS> ", "x") == ("a b", True)
    for line, word in (("A dog runs.<eos>", "runs.<eos>"), ("a <EOS>.", "<EOS>."), (" a<Eos>b <eos>", "a<Eos>b")):
        with pytest.raises(DataError, match=rf"x, line 3: <eos> stands within '{re.escape(word)}'; put a space before"):
            without_eos(line, "x, line 3")


def test_the_mark_of_unknown_words_may_be_in_capitals() -> None:
    assert tokens_of("the <UNK> <Unk>\nUNK\n") == ["the", UNK, UNK, EOS, "UNK", EOS]
    assert tokenize("go <UNK>!", "en") == ["go", UNK, "!"]
    assert [" ".join(words) for words in sentences("The <UNK> is.")] == ["the <unk> is"]


def test_all_that_unicode_shows_nothing_for_is_invisible() -> None:
    """But the joiners of Persian and of Indic scripts, and the byte order mark, which readers refuse."""
    ignorable = {chr(code) for code in range(0x110000) if regex.match(r"\p{Default_Ignorable_Code_Point}", chr(code))}
    found = {character for character in ignorable if invisible(f"a{character}b")}
    assert ignorable - found == {"\u200c", "\u200d", "\ufeff"}
    assert invisible("caf\ufe0fe cafe\U000e0041 a\x7f") == {"U+FE0F": 1, "U+E0041": 1, "U+007F": 1}
    visible = "a\u0301 \u0600 \u06dd \U000110bd \ufffd \u00a0 \u2028 \u0085"
    assert not invisible(visible)


def test_entities_of_html_in_captions_are_the_characters_that_they_stand_for() -> None:
    assert words("Dogs &amp; cats, &quot;big&quot; ones") == "dogs cats big ones"
    assert words("it&#39;s a cafe&#x301; of AT&T &notanentity") == "it's a caf\u00e9 of at t notanentity"
    assert words("a &lt;unk&gt; here") == "a <unk> here"
