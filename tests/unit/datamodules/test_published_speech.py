"""LibriSpeech and Samrómur in their own layouts: what of them is not there, or is not read, is counted."""

import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from support.corpora import RATE, spoken

from datamodules import download
from datamodules.errors import DataError
from datamodules.speech import published
from datamodules.speech.preparation import compute, load
from datamodules.speech.published import LibriSpeechCorpus, SamromurCorpus
from datamodules.speech.recorded import open_corpus


def test_librispeech_in_its_layout(tmp_path, monkeypatch) -> None:
    for subset, speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-clean", 61)):
        folder = tmp_path / "librispeech" / "LibriSpeech" / subset / str(speaker) / "121"
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{speaker}-121-0000.flac", spoken("abc"), RATE)
        (folder / f"{speaker}-121.trans.txt").write_text(f"{speaker}-121-0000 THANK YOU\n")
    monkeypatch.setattr(published, "RECORDINGS", dict.fromkeys(published.RECORDINGS, 1))
    corpus = LibriSpeechCorpus(tmp_path)
    corpus.fetch()
    train, validation, test = corpus.utterances
    assert (train.split, train.transcript, train.speaker) == ("train", "THANK YOU", "train-clean-100 19")
    assert isinstance(train.audio, Path)
    assert train.audio.is_file()
    assert (validation.split, test.split) == ("validation", "test")
    assert corpus.notes == ()


def test_librispeech_that_is_partly_unpacked_has_its_missing_recordings_left_out_and_counted(tmp_path) -> None:
    for subset, speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-clean", 61)):
        folder = tmp_path / "librispeech" / "LibriSpeech" / subset / str(speaker) / "121"
        folder.mkdir(parents=True)
        names = [f"{speaker}-121-000{number}" for number in range(3)]
        soundfile.write(folder / f"{names[1]}.flac", spoken("abc"), RATE)
        (folder / f"{speaker}-121.trans.txt").write_text("".join(f"{name} THANK YOU\n" for name in names))
    corpus = LibriSpeechCorpus(tmp_path)
    folder = tmp_path / "prepared"
    folder.mkdir()
    utterances = [replace(each, phones=[]) for each in corpus.utterances]  # so that nothing is aligned
    compute(utterances, "", RATE, folder)
    prepared = load(folder)
    assert prepared.names == [
        f"{path}-0001.flac"
        for path in ("train-clean-100/19/121/19-121", "dev-clean/84/121/84-121", "test-clean/61/121/61-121")
    ]
    assert prepared.reasons == {"audio is missing": 6}
    assert "train-clean-100/19/121/19-121-0002.flac" in prepared.left_out
    assert corpus.notes[0] == "train-clean-100: 3 recordings are named in its transcripts, of 28,539 published"
    assert len(corpus.notes) == 3


def test_librispeech_that_cannot_be_had_is_one_line(tmp_path, monkeypatch) -> None:
    def offline(*_, **__):
        raise urllib.error.URLError("name resolution failed")

    monkeypatch.setattr(download, "open_url", offline)
    with pytest.raises(
        DataError, match=r"train-clean-100: is missing and cannot be downloaded .*name resolution failed"
    ) as e:
        open_corpus("librispeech", tmp_path).fetch()
    assert "\n" not in str(e.value)


SAMROMUR = "speaker_id\tfilename\tsentence_norm\tstatus\n"


def samromur(data: Path, rows: str) -> SamromurCorpus:
    (data / "samromur").mkdir(exist_ok=True)
    (data / "samromur" / "metadata.tsv").write_text(SAMROMUR + rows, encoding="utf-8")
    return SamromurCorpus(data)


def test_rows_of_samromur_of_another_status_are_counted(tmp_path) -> None:
    corpus = samromur(tmp_path, "1\ta.flac\tjá\ttrain\n1\tb\tnei\ttest \n2\tc\tjá\tTrain\n2\td\tjá\tdev\n")
    assert [each.name for each in corpus.utterances] == ["train/1/a.flac", "dev/2/d.flac"]
    assert corpus.notes == (
        "metadata.tsv: 2 rows are not read, as the status is none of train, dev, test: 'test ' in line 3",
    )
    corpus = samromur(tmp_path, "1\ta.flac\tjá\ttrain\n")
    assert len(corpus.utterances) == 1
    assert corpus.notes == ()


def test_a_recording_of_samromur_that_is_named_twice_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match=r"tsv:4: train/1/a.flac is named again, after line 2; name a recording once"):
        _ = samromur(tmp_path, "1\ta.flac\tjá\ttrain\n1\ta\tjá\tdev\n1\ta\tnei\ttrain\n").utterances
