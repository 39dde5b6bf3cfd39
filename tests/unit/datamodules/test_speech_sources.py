"""Manifests of recorded speech: folders, LibriSpeech, and splits."""

from pathlib import Path

import pytest
import soundfile
from support.corpora import RATE, spoken

from datamodules.errors import DataError
from datamodules.speech.recorded import FolderCorpus, LibriSpeechCorpus, open_corpus, split_of


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "transcripts.tsv is missing; a speech folder holds audio and transcripts.tsv"),
        (b"", "transcripts.tsv is empty"),
        (b"a.wav one\n", r"transcripts.tsv:1: expected path, tab, text"),
        (b"a.wav\tone\tme\ttest\n", "transcripts.tsv:1: the split is 'test', must be train or validation"),
        (b"a.wav\t\xe9\n", "transcripts.tsv: cannot be read as UTF-8"),
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
    assert split_of("Thank you.") == split_of("thank  you")
    splits = [split_of(f"prompt number {n}") for n in range(1000)]
    assert 100 < splits.count("validation") < 200


def test_librispeech_in_its_layout(tmp_path) -> None:
    for subset, speaker in (("train-clean-100", 19), ("dev-clean", 84)):
        folder = tmp_path / "librispeech" / "LibriSpeech" / subset / str(speaker) / "121"
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{speaker}-121-0000.flac", spoken("abc"), RATE)
        (folder / f"{speaker}-121.trans.txt").write_text(f"{speaker}-121-0000 THANK YOU\n")
    corpus = LibriSpeechCorpus(tmp_path)
    corpus.fetch()
    train, validation = corpus.utterances
    assert (train.split, train.transcript, train.speaker) == ("train", "THANK YOU", "train-clean-100 19")
    assert isinstance(train.audio, Path)
    assert train.audio.is_file()
    assert validation.split == "validation"


def test_librispeech_that_cannot_be_had_is_one_line(tmp_path, monkeypatch) -> None:
    def offline(*_, **__):
        raise OSError("name resolution failed")

    monkeypatch.setattr("torchaudio.datasets.LIBRISPEECH", offline)
    with pytest.raises(
        DataError, match=r"train-clean-100 is missing and cannot be downloaded \(no network\?\): name"
    ) as e:
        open_corpus("librispeech", tmp_path).fetch()
    assert "\n" not in str(e.value)
