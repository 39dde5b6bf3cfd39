"""Manifests, labels, alignment, and what becomes of files that cannot be used."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.corpora import RATE, TONES, phones, spoken, write_corpus
from support.pretended_gpu import pretended_gpu

from datamodules.errors import DataError
from datamodules.sources import Source
from datamodules.speech import alignment, preparation, synthetic
from datamodules.speech.alignment import (
    CTCAligner,
    Phone,
    PocketsphinxAligner,
    fitted,
    make_aligner,
    states_of,
    words_of,
)
from datamodules.speech.espeak import Request, Spoken, speak
from datamodules.speech.features import FEATURES, HOP_MS, MELS, Audio, LeftOut, log_mel, read_audio
from datamodules.speech.preparation import load, prepare
from datamodules.speech.recorded import FolderCorpus, LibriSpeechCorpus, SamromurCorpus, open_corpus, split_of
from datamodules.speech.synthetic import EspeakCorpus, phones_of, short_sentences


def test_states_by_hand() -> None:
    """Frame t is centred at 10 t + 12.5 ms; a phone of 60 ms has 20 ms for each state."""
    phones = [Phone("a", 0.02, 0.08), Phone("b", 0.08, 0.11)]
    assert states_of(phones, 12) == [
        "sil.1", "a.0", "a.0", "a.1", "a.1", "a.2", "a.2", "b.0", "b.1", "b.2", "sil.1", "sil.1",
    ]  # fmt: skip
    assert states_of([], 2) == ["sil.1", "sil.1"]


def test_labels_are_fitted_within_a_few_frames_only() -> None:
    assert fitted(["a", "b"], 4, "no") == ["a", "b", "b", "b"]
    assert fitted(["a", "b", "c"], 2, "no") == ["a", "b"]
    with pytest.raises(LeftOut, match="no: 2 labels for 6 frames"):
        fitted(["a", "b"], 6, "no")


def test_words_of_a_transcript() -> None:
    assert words_of("Press 1, or dial 500: it\u2019s re-entered (\"please\")!") == [
        "press", "one", "or", "dial", "500", "it's", "re", "entered", "please",
    ]  # fmt: skip
    assert words_of("separated by *") == ["separated", "by", "*"]


def test_features_have_a_frame_every_10_ms_and_tell_tones_apart() -> None:
    low, high = (log_mel(Audio(spoken(tone), RATE), RATE) for tone in "ad")
    samples = len(spoken("a"))
    assert low.shape == (1 + (samples - 400) // 160, FEATURES)
    assert HOP_MS * RATE / 1000 == 160
    assert low[3, :MELS].argmax() < high[3, :MELS].argmax()


def test_deltas_are_differences_over_time() -> None:
    features = log_mel(Audio(spoken("ab"), RATE), RATE)
    static, delta = features[:, :MELS], features[:, MELS : 2 * MELS]
    t = len(features) // 2
    expected = sum(n * (static[t + n] - static[t - n]) for n in (1, 2)) / 10
    torch.testing.assert_close(delta[t], expected, atol=1e-3, rtol=1e-3)


def test_noise_has_the_stated_ratio() -> None:
    audio = Audio(spoken("abcd"), RATE)
    clean, noisy = log_mel(audio, RATE), log_mel(audio, RATE, snr=10.0)
    assert noisy[:, :MELS].min() > clean[:, :MELS].min() + 3
    torch.testing.assert_close(noisy, log_mel(audio, RATE, snr=10.0))


def test_features_are_normalised_for_each_speaker_and_split(tmp_path) -> None:
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


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (8_000, 1), (44_100, 2), (11_025, 3)])
def test_any_rate_and_number_of_channels_is_read_as_one_channel_at_the_rate_asked_for(tmp_path, rate, channels) -> None:
    """A tone of 440 Hz has its energy in the same mel band whatever it was recorded at."""
    time = np.arange(rate // 2) / rate
    tone = (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone] * channels, axis=1), rate)
    audio = read_audio(tmp_path / "tone.wav")
    assert audio.samples.shape == (rate // 2,)
    features = log_mel(audio, 16_000)
    assert abs(len(features) - 48) <= 1
    reference = log_mel(
        Audio((8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16_000)).astype(np.int16), 16_000), 16_000
    )
    assert features[20, :MELS].argmax() == reference[20, :MELS].argmax()


def test_channels_are_averaged(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([[100, 300], [-50, 50]], np.int16), 8000)
    assert read_audio(tmp_path / "a.wav").samples.tolist() == [200, 0]


def test_the_rest_of_a_corpus_is_usable_and_each_bad_file_named(tmp_path, caplog) -> None:
    """One line that names the file for each kind of trouble; all are counted in what records keep."""
    folder = write_corpus(tmp_path / "corpus", labels=True)
    good = (folder / "transcripts.tsv").read_text()
    soundfile.write(folder / "empty.wav", np.zeros(0, np.int16), RATE)
    soundfile.write(folder / "short.wav", np.zeros(100, np.int16), RATE)
    (folder / "corrupt.wav").write_bytes(b"RIFF no audio at all")
    soundfile.write(folder / "unmatched.wav", spoken("abc"), RATE)
    (folder / "labels" / "unmatched.txt").write_text("a.0 a.1")
    soundfile.write(folder / "unlabelled.wav", spoken("abc"), RATE)
    bad = ["empty", "short", "corrupt", "unmatched", "unlabelled", "missing"]
    (folder / "transcripts.tsv").write_text(good + "".join(f"{name}.wav\ta b c\t\ttrain\n" for name in bad))
    with caplog.at_level(logging.WARNING):
        prepared = prepare(FolderCorpus(folder), "", RATE, tmp_path)
    assert len(prepared.lengths) == len(good.splitlines())
    assert set(prepared.left_out) == {f"{name}.wav" for name in bad}
    assert prepared.left_out["empty.wav"] == "audio is empty"
    assert prepared.left_out["short.wav"] == "shorter than a frame: 6 ms, a frame has 25"
    assert prepared.left_out["corrupt.wav"].startswith("audio cannot be read")
    assert prepared.left_out["missing.wav"].startswith("audio cannot be read")
    assert prepared.left_out["unmatched.wav"].startswith("label file does not match its audio: 2 labels for ")
    assert prepared.left_out["unlabelled.wav"].startswith("label file cannot be read")
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
    with pytest.raises(DataError, match=r"no train utterance can be used, of 1 in all; a.wav: audio cannot be read"):
        prepare(FolderCorpus(tmp_path), "", RATE, tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


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
        FolderCorpus(tmp_path).utterances()


def test_missing_named_sources_say_what_to_do(tmp_path) -> None:
    with pytest.raises(DataError, match=r"asterisk-en/transcripts.tsv is missing; unpack asterisk-core-sounds-en-wav"):
        open_corpus("asterisk-en", tmp_path).fetch()
    with pytest.raises(DataError, match=r"samromur/metadata.tsv is missing; unpack Samrómur 21.05"):
        open_corpus("samromur", tmp_path).fetch()


def test_the_same_prompt_is_never_in_two_splits() -> None:
    assert split_of("Thank you.") == split_of("thank  you")
    splits = [split_of(f"prompt number {n}") for n in range(1000)]
    assert 100 < splits.count("validation") < 200


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


def test_synthetic_validation_has_other_voices_and_sentences(tmp_path, monkeypatch) -> None:
    speeches = {name: [f"We have {word} of it." for word in words] for name, words in {
        "train": ("plenty", "some", "most", "all", "none"), "validation": ("all", "half", "much", "too much"),
    }.items()}  # fmt: skip
    monkeypatch.setattr(synthetic, "read_members", lambda _, names: ["\n".join(speeches[Path(names[0]).stem])])
    monkeypatch.setattr(synthetic, "STATE_OF_THE_UNION_SPLITS", {"train": ["train"], "validation": ["validation"]})
    monkeypatch.setattr(Source, "verify", lambda *_: None)
    found = EspeakCorpus(tmp_path).utterances()
    for of in (lambda each: each.speaker, lambda each: each.transcript):
        train, validation = ({of(each) for each in found if each.split == split} for split in ("train", "validation"))
        assert train
        assert validation
        assert not train & validation
    assert {each.snr for each in found} == set(synthetic.SNRS)


def test_synthetic_speech_without_its_package_is_one_line(tmp_path, monkeypatch) -> None:
    def absent(_) -> str:
        raise synthetic.PackageNotFoundError

    monkeypatch.setattr(synthetic, "version", absent)
    with pytest.raises(DataError, match=r"needs espeakng-loader: pip install 'rnnreg\[speech\]'"):
        EspeakCorpus(tmp_path).identity()


def test_pocketsphinx_aligns_three_state_phones_and_reports_what_it_cannot() -> None:
    """On synthetic speech, whose true times are known."""
    (said,) = speak([Request("The state of our union is strong.", "en-us", 150, 50)])
    audio = Audio(said.samples, said.rate)
    frames = len(log_mel(audio, 16_000))
    aligner = PocketsphinxAligner()
    states = aligner.align(audio, "The state of our union is strong.", frames)
    assert len(states) == frames
    names = [state.split(".")[0] for state in states]
    order = [name for name, before in zip(names, ["", *names], strict=False) if name != before and name != "sil"]
    assert order[2:6] == ["S", "T", "EY", "T"]
    assert {state for state in states if state.startswith("EY")} == {"EY.0", "EY.1", "EY.2"}
    (vowel,) = (phone for phone in phones_of(said) if phone.name == "eI")
    centre = int(1000 * (vowel.begin + vowel.end) / 2 / HOP_MS)
    assert "EY" in names[centre - 3 : centre + 4]
    assert aligner.align(audio, "The state of our union is strong.", frames) == states
    with pytest.raises(LeftOut, match=r"^words unknown to the aligner: 500, blorx$"):
        aligner.align(audio, "the blorx of 500", frames)
    with pytest.raises(LeftOut, match=r"^no words in the transcript: '\.\.\.'$"):
        aligner.align(audio, "...", frames)
    with pytest.raises(LeftOut, match=r"^transcript does not align"):
        aligner.align(Audio(np.zeros(8000, np.int16), 16_000), "thank you all very much", 48)


def test_pocketsphinx_missing_is_one_line(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(DataError, match=r"needs pocketsphinx: pip install 'rnnreg\[speech\]'"):
        make_aligner("pocketsphinx")


class TonesCTC(torch.nn.Module):
    """A small CTC model, linear in the log-spectrum of 20 ms blocks: it learns from whatever weights it begins with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(161, len(TONES) + 1)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Scores [1, blocks, tokens] of a waveform [1, samples]."""
        blocks = waveform[:, : waveform.shape[1] // 320 * 320].reshape(1, -1, 320)
        return self.layer(torch.log(torch.fft.rfft(blocks).abs() + 1e-2))


@pytest.fixture(scope="module")
def tones_model(tmp_path_factory) -> Path:
    """A TorchScript CTC model trained on tones, with its tokens beside it."""
    model, tokens = TonesCTC(), ["-", *TONES]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(300):
        text = "".join(list(TONES)[i] for i in torch.randint(len(TONES), (5,), generator=generator))
        scores = model(torch.from_numpy(spoken(text)).float()[None] / 32768).log_softmax(dim=-1)
        target = torch.tensor([tokens.index(character) for character in text])
        loss = torch.nn.functional.ctc_loss(
            scores.transpose(0, 1), target[None], torch.tensor([scores.shape[1]]), torch.tensor([len(target)])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("ctc") / "tones.pt"
    torch.jit.script(model).save(path)
    path.with_suffix(".tokens.txt").write_text("\n".join(tokens) + "\n")
    return path


def test_ctc_alignment_finds_the_tones(tones_model) -> None:
    """Most of the frames in which a tone sounds have its character, in three states."""
    aligner = CTCAligner(str(tones_model))
    audio = Audio(spoken("dabca"), RATE)
    frames = len(log_mel(audio, RATE))
    states = aligner.align(audio, "Dáb ca", frames)  # an accent that the model does not have, two words
    assert len(states) == frames
    with pretended_gpu():
        assert CTCAligner(str(tones_model)).align(audio, "Dáb ca", frames) == states
    true = states_of(phones("dabca"), frames)
    agree = [a.split(".")[0] == b.split(".")[0] for a, b in zip(states, true, strict=True) if not b.startswith("sil")]
    assert sum(agree) > 0.6 * len(agree)
    names = [state.split(".")[0] for state in states]
    assert [x for x, y in zip(names, ["", *names], strict=False) if x not in (y, "sil")] == list("dabca")
    assert {state.split(".")[1] for state in states} == {"0", "1", "2"}
    with pytest.raises(LeftOut, match="characters unknown to the aligner: z"):
        aligner.align(audio, "zab", frames)
    with pytest.raises(LeftOut, match="transcript does not align"):
        aligner.align(Audio(spoken("a")[:800], RATE), "abcdabcd", 3)


def test_ctc_model_that_cannot_be_read_is_one_line(tmp_path) -> None:
    (tmp_path / "model.pt").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"aligner .*model.pt: must be mms_fa, pocketsphinx, or a TorchScript file"):
        make_aligner(str(tmp_path / "model.pt"))


def test_icelandic_is_romanised_for_a_model_that_knows_no_icelandic(tones_model) -> None:
    aligner = CTCAligner(str(tones_model))
    aligner.ids = {character: 1 for character in "thdaeopj"}
    assert "".join(aligner._tokens("þæðö")) == "thaedo"
    aligner.ids["þ"] = 2
    assert aligner._tokens("þ") == ["þ"]


def test_samromur_in_its_layout_is_aligned_by_the_users_model(tmp_path, tones_model) -> None:
    root = tmp_path / "samromur"
    columns = ["id", "speaker_id", "filename", "sentence", "sentence_norm", "gender", "status"]
    lines = ["\t".join(columns)]
    for index, (status, text) in enumerate([("train", "ab ca"), ("train", "dabc"), ("dev", "cadb"), ("test", "bad")]):
        name, speaker = f"00000{index}-0001.flac", f"00000{index}"
        (root / status / speaker).mkdir(parents=True)
        soundfile.write(root / status / speaker / name, spoken(text), RATE)
        lines.append("\t".join([str(index), speaker, name, text.upper(), text, "female", status]))
    (root / "metadata.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    corpus = open_corpus("samromur", tmp_path)
    corpus.fetch()
    prepared = prepare(corpus, str(tones_model), RATE, tmp_path)
    assert prepared.splits == ["train", "train", "validation"]
    assert {state.split(".")[0] for state in prepared.states} == {*TONES, "sil"}
    assert not prepared.left_out
    (root / "metadata.tsv").write_text("id\tsentence\n1\tx\n")
    with pytest.raises(DataError, match=r"expected the columns of Samrómur 21.05; missing speaker_id, filename"):
        corpus.utterances()


def test_librispeech_in_its_layout(tmp_path) -> None:
    for subset, speaker in (("train-clean-100", 19), ("dev-clean", 84)):
        folder = tmp_path / "librispeech" / "LibriSpeech" / subset / str(speaker) / "121"
        folder.mkdir(parents=True)
        soundfile.write(folder / f"{speaker}-121-0000.flac", spoken("abc"), RATE)
        (folder / f"{speaker}-121.trans.txt").write_text(f"{speaker}-121-0000 THANK YOU\n")
    corpus = LibriSpeechCorpus(tmp_path)
    corpus.fetch()
    train, validation = corpus.utterances()
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


def test_alignment_is_shared_among_processes_with_the_same_result(tmp_path, tones_model, monkeypatch) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=False)
    alone = prepare(FolderCorpus(folder), str(tones_model), RATE, tmp_path / "alone")
    monkeypatch.setattr(preparation, "PARALLEL_FROM", 1)
    monkeypatch.setattr(CTCAligner, "parallel", True)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    shared = prepare(FolderCorpus(folder), str(tones_model), RATE, tmp_path / "shared")
    assert shared.sha256 == alone.sha256
    np.testing.assert_allclose(shared.features, alone.features, atol=1e-2)


def test_about_is_plain_json(tmp_path) -> None:
    prepare(FolderCorpus(write_corpus(tmp_path / "corpus", labels=True)), "", RATE, tmp_path)
    (folder,) = (tmp_path / "prepared").iterdir()
    assert json.loads((folder / "about.json").read_text())["states"]
    assert re.fullmatch(r"[0-9a-f]{16}", folder.name)
    assert alignment.SILENCE == "sil"
    assert SamromurCorpus.aligner == "mms_fa"
