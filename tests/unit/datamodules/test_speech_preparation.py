"""From a corpus to prepared features and labels, and what becomes of files that cannot be used."""

import json
import logging
import re

import numpy as np
import pytest
import soundfile
from support.corpora import RATE, spoken, write_corpus

from datamodules.errors import DataError
from datamodules.speech import alignment, preparation
from datamodules.speech.datamodule import SpeechData
from datamodules.speech.features import log_mel, read_audio
from datamodules.speech.preparation import load, prepare
from datamodules.speech.published import SamromurCorpus
from datamodules.speech.recorded import FolderCorpus


def test_features_are_normalized_for_each_speaker_and_split(tmp_path) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    lines = [line.split("\t") for line in (folder / "transcripts.tsv").read_text().splitlines()]
    for index, line in enumerate(lines):
        line[2] = "ab"[index % 2]
    (folder / "transcripts.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    prepared = prepare(FolderCorpus(folder), "", RATE, tmp_path)
    features = np.split(prepared.features.astype(np.float64), np.cumsum(prepared.lengths)[:-1])
    raw = [log_mel(read_audio(folder / line[0]), RATE).numpy() for line in lines]
    for speaker, split in {(line[2], line[3]) for line in lines}:
        own = [index for index, line in enumerate(lines) if line[2:] == [speaker, split]]
        together = np.concatenate([raw[index] for index in own])
        expected = (raw[own[0]] - together.mean(axis=0)) / together.std(axis=0)
        np.testing.assert_allclose(features[own[0]], expected, atol=0.01)


def test_the_rest_of_a_corpus_is_usable_and_each_bad_file_named(tmp_path, caplog) -> None:
    """One line that names the file for each kind of trouble; all are counted in what records keep."""
    folder = write_corpus(tmp_path / "corpus", labels=True)
    good = (folder / "transcripts.tsv").read_text()
    soundfile.write(folder / "empty.wav", np.zeros(0, np.int16), RATE)
    soundfile.write(folder / "short.wav", np.zeros(100, np.int16), RATE)
    (folder / "corrupt.wav").write_bytes(b"RIFF no audio at all")
    soundfile.write(folder / "unmatched.wav", spoken("abc"), RATE)
    (folder / "labels" / "unmatched.txt").write_text("a.0 a.1")
    soundfile.write(folder / "unlabeled.wav", spoken("abc"), RATE)
    bad = ["empty", "short", "corrupt", "unmatched", "unlabeled", "missing"]
    (folder / "transcripts.tsv").write_text(good + "".join(f"{name}.wav\ta b c\t\ttrain\n" for name in bad))
    with caplog.at_level(logging.WARNING):
        prepared = prepare(FolderCorpus(folder), "", RATE, tmp_path)
    assert len(prepared.lengths) == len(good.splitlines())
    assert set(prepared.left_out) == {f"{name}.wav" for name in bad}
    assert prepared.left_out["empty.wav"] == "audio is empty"
    assert prepared.left_out["short.wav"] == "shorter than a frame: 6 ms, a frame has 25"
    assert prepared.left_out["corrupt.wav"].startswith("audio cannot be read")
    assert prepared.left_out["missing.wav"] == f"audio is missing: {folder / 'missing.wav'}"
    assert prepared.left_out["unmatched.wav"].startswith("label file does not match its audio: 2 labels for ")
    assert prepared.left_out["unlabeled.wav"].startswith("label file cannot be read")
    assert sum(prepared.reasons.values()) == len(bad)
    lines = [record.getMessage() for record in caplog.records]
    for name in bad:
        (line,) = (line for line in lines if line.startswith(f"{name}.wav: left out: "))
        assert "\n" not in line
    assert any(
        line.startswith(f"{len(bad)} of {len(bad) + len(good.splitlines())} utterances left out") for line in lines
    )


def test_a_corpus_without_a_usable_utterance_says_so_and_gives_an_example(tmp_path) -> None:
    (tmp_path / "transcripts.tsv").write_text("a.wav\tone\t\ttrain\n")
    (tmp_path / "labels").mkdir()
    with pytest.raises(DataError, match=r"no utterance can be used, of 1 in all; a.wav: audio is missing: /.*/a.wav$"):
        prepare(FolderCorpus(tmp_path), "", RATE, tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


def test_prompts_that_are_too_few_to_be_split_are_refused_in_one_line(tmp_path, caplog) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    lines = [line.rpartition("\t")[0] for line in (folder / "transcripts.tsv").read_text().splitlines()]
    for count, prompts in ((6, "6 prompts are"), (1, "1 prompt is")):
        (folder / "transcripts.tsv").write_text("\n".join(lines[:count]))
        with pytest.raises(DataError) as refused:
            SpeechData(str(folder), tmp_path, 3, 40, 0, RATE).setup()
        right = "give each line a split (train, validation or test)"
        assert str(refused.value) == f"{folder}: {prompts} too few, or too much alike, to be split; {right}"
        assert not caplog.records
    assert len(prepare(FolderCorpus(folder), "", RATE, tmp_path).lengths) == 1  # which may be evaluated
    (folder / "transcripts.tsv").write_text("\n".join(f"{line}\ttrain" for line in lines))
    with pytest.raises(DataError, match=r"no validation utterance can be used, of 11 in all; the manifest has none"):
        SpeechData(str(folder), tmp_path, 3, 40, 0, RATE).setup()


def test_an_aligner_that_labels_make_needless_is_said_and_one_that_is_not_there_refused(tmp_path) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)

    def notes_with(aligner: str) -> list[str]:
        data = SpeechData(str(folder), tmp_path, 3, 40, 0, RATE, aligner)
        data.prepare_data()
        return data.details["notes"]

    assert notes_with("") == []
    for _ in range(2):  # from the cache as well, which no aligner makes another
        assert notes_with("mms_fa") == ["states are read from labels/, and the aligner mms_fa is not used"]
    assert len(list((tmp_path / "prepared").iterdir())) == 1
    with pytest.raises(DataError, match=r"^aligner nonsense: nonsense is not a file; it must be mms_fa, pocketsphinx"):
        notes_with("nonsense")


def test_prepared_labels_are_made_again_by_another_version_of_the_aligner(tmp_path, monkeypatch) -> None:
    """Their checksum, which records keep, is of the labels themselves."""
    folder = write_corpus(tmp_path / "corpus", labels=False)
    made: list[str] = []

    class OneState(alignment.Aligner):
        parallel = False

        def align(self, audio, transcript, frames) -> list[str]:
            made.append(transcript)
            return ["a.0"] * frames

    monkeypatch.setattr(preparation, "make_aligner", lambda _: OneState())
    checksums = []
    for package in ("5.0.3", "5.0.3", "5.0.4"):
        monkeypatch.setattr(alignment, "version", lambda _, package=package: package)
        checksums.append(prepare(FolderCorpus(folder), "", RATE, tmp_path).sha256)
    assert len(made) == 2 * 11
    assert len(set(checksums)) == 1


def test_preparation_is_kept_by_content(tmp_path, monkeypatch) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    first = prepare(FolderCorpus(folder), "", RATE, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "compute", lambda *_: pytest.fail("computed again"))
        again = prepare(FolderCorpus(folder), "", RATE, tmp_path)
    assert again.sha256 == first.sha256
    np.testing.assert_array_equal(again.features, first.features)

    name = (folder / "transcripts.tsv").read_text().split("\t")[0]
    soundfile.write(folder / name, read_audio(folder / name).samples // 2, RATE)
    assert prepare(FolderCorpus(folder), "", RATE, tmp_path).sha256 != first.sha256
    assert len(list((tmp_path / "prepared").iterdir())) == 2


@pytest.mark.parametrize("name", ["0.wav", "labels/0.txt", "transcripts.tsv"])
def test_a_corpus_that_changes_while_it_is_prepared_is_refused(tmp_path, monkeypatch, name: str) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    corpus = FolderCorpus(folder)
    read = corpus.read_utterances

    def change() -> list:
        utterances = read()
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")  # once the manifest has been read
        return utterances

    compute = preparation.compute
    if name == "transcripts.tsv":
        monkeypatch.setattr(corpus, "read_utterances", change)
    else:
        monkeypatch.setattr(preparation, "compute", lambda *arguments: (compute(*arguments), change()))
    with pytest.raises(DataError, match=r"the source changed while it was prepared"):
        prepare(corpus, "", RATE, tmp_path)
    assert not list((tmp_path / "prepared").iterdir())
    monkeypatch.undo()
    prepare(FolderCorpus(folder), "", RATE, tmp_path)


def test_two_processes_preparing_at_once_end_with_one_whole_cache(tmp_path, monkeypatch) -> None:
    """The other one is faster: it finishes while this one computes."""
    folder = write_corpus(tmp_path / "corpus", labels=True)
    compute = preparation.compute

    def slower(*arguments) -> None:
        monkeypatch.setattr(preparation, "compute", compute)
        prepare(FolderCorpus(folder), "", RATE, tmp_path)
        compute(*arguments)

    monkeypatch.setattr(preparation, "compute", slower)
    prepared = prepare(FolderCorpus(folder), "", RATE, tmp_path)
    (only,) = (tmp_path / "prepared").iterdir()
    assert load(only).sha256 == prepared.sha256


def test_a_folder_that_cannot_be_written_to_has_its_cache_elsewhere(tmp_path, monkeypatch) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=True)
    (tmp_path / "data").write_text("not a folder, as good as read-only")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prepare(FolderCorpus(folder), "", RATE, tmp_path / "data")
    assert len(list((tmp_path / "cache" / "rnnreg").iterdir())) == 1


def test_a_damaged_cache_is_named(tmp_path) -> None:
    prepare(FolderCorpus(write_corpus(tmp_path / "corpus", labels=True)), "", RATE, tmp_path)
    (folder,) = (tmp_path / "prepared").iterdir()
    (folder / "labels.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"is damaged .*; delete it, it is made again"):
        load(folder)


def test_about_is_plain_json(tmp_path) -> None:
    prepare(FolderCorpus(write_corpus(tmp_path / "corpus", labels=True)), "", RATE, tmp_path)
    (folder,) = (tmp_path / "prepared").iterdir()
    assert json.loads((folder / "about.json").read_text())["states"]
    assert re.fullmatch(r"[0-9a-f]{16}", folder.name)
    assert alignment.SILENCE == "sil"
    assert SamromurCorpus.aligner == "mms_fa"
