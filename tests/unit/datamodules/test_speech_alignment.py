"""Labels of frames: by hand, by label files, by pocketsphinx, by a CTC model."""

import hashlib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.corpora import RATE, TONES, phones, spoken, write_corpus
from support.pretended_gpu import pretended_gpu

from datamodules.errors import DataError
from datamodules.speech import alignment, preparation
from datamodules.speech.alignment import (
    CTCAligner,
    Phone,
    PocketsphinxAligner,
    aligner_identity,
    fitted,
    make_aligner,
    require_aligner,
    states_of,
    words_of,
)
from datamodules.speech.espeak import Request, speak
from datamodules.speech.features import HOP_MS, Audio, LeftOut, log_mel
from datamodules.speech.label_files import read_labels
from datamodules.speech.preparation import prepare
from datamodules.speech.recorded import FolderCorpus, open_corpus
from datamodules.speech.synthetic import phones_of


def test_states_by_hand() -> None:
    """Frame t is centered at 10 t + 12.5 ms; a phone of 60 ms has 20 ms for each state."""
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


def labels_off(path: Path, frames: int) -> set[int]:
    """By how many frames a label file may be off for so many frames of audio."""
    found = set()
    for count in range(1, 2 * frames + 1):
        path.write_text("a.0 " * count)
        try:
            states, is_fitted = read_labels(path, frames)
            assert (len(states), is_fitted) == (frames, count != frames)
        except LeftOut:
            continue
        found.add(count - frames)
    return found


def test_a_label_file_is_off_by_few_frames_and_by_a_small_share_of_them(tmp_path) -> None:
    """Three labels for six frames are those of another frame rate, and would be filled up with the last state."""
    allowed = {6: {0}, 7: {0}, 8: {-1, 0, 1}, 16: {-2, -1, 0, 1, 2}, 24: set(range(-3, 4)), 100: set(range(-3, 4))}
    assert {frames: labels_off(tmp_path / "labels.txt", frames) for frames in allowed} == allowed
    (tmp_path / "labels.txt").write_text("a.0 b.0 c.0")
    with pytest.raises(LeftOut, match="label file does not match its audio: 3 labels for 6 frames"):
        read_labels(tmp_path / "labels.txt", 6)


def test_words_of_a_transcript() -> None:
    assert words_of("Press 1, or dial 500: it\u2019s re-entered (\"please\")!") == [
        "press", "one", "or", "dial", "500", "it's", "re", "entered", "please",
    ]  # fmt: skip
    assert words_of("separated by *") == ["separated", "by", "*"]
    assert words_of("`Pages' 1, 2 (a-5): well -- 5... and/or b2b.") == [
        "pages", "one", "two", "a", "five", "well", "five", "and", "or", "b", "two", "b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("transcript", "unknown"),
    [
        *(
            (f"it costs {symbol} now", symbol)
            for symbol in "\u00a3\u20ac$%\u00b0\u00d7\u00f7~^|\u2116+=<>*#@&\u00a7\u2030\u2212"
        ),
        *((f"it is {number}.", number) for number in ("3.5", "1/2", "-5", ".5", "10:05", "3,000", "1.2.3", "-2.5")),
        ("\u00a35 or 3\u20ac", "\u00a3"),
        ("-5 degrees", "-5"),
        ("m\u0303 e\u0301", "m\u0303"),
        ("hello [noise] world", "["),
        ("so (um) {breath}", "}"),
    ],
)
def test_what_nobody_knows_how_to_say_stays_so_that_the_utterance_is_left_out(transcript: str, unknown: str) -> None:
    assert unknown in words_of(transcript)


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
    center = int(1000 * (vowel.begin + vowel.end) / 2 / HOP_MS)
    assert "EY" in names[center - 3 : center + 4]
    assert aligner.align(audio, "The state of our union is strong.", frames) == states
    with pytest.raises(LeftOut, match=r"^words unknown to the aligner: 500, blorx$"):
        aligner.align(audio, "the blorx of 500", frames)
    with pytest.raises(LeftOut, match=r"^no words in the transcript: '\.\.\.'$"):
        aligner.align(audio, "...", frames)
    with pytest.raises(LeftOut, match=r"^transcript does not align"):
        aligner.align(Audio(np.zeros(8000, np.int16), 16_000), "thank you all very much", 48)


def test_pocketsphinx_missing_is_one_line(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(DataError, match=r"needs pocketsphinx: pip install -e '\.\[speech\]'"):
        make_aligner("pocketsphinx")


def test_an_aligner_that_is_not_there_is_one_line(tmp_path) -> None:
    for name in ("", "pocketsphinx", "mms_fa"):
        require_aligner(name)
    model, tokens = tmp_path / "own.pt", tmp_path / "own.tokens.txt"
    for missing in (model, tokens):
        with pytest.raises(DataError, match=rf"^aligner .*: {missing} is not a file; it must be .* own.tokens.txt be"):
            require_aligner(str(model))
        missing.touch()
    require_aligner(str(model))
    for name in (".", "a" * 300, "a\0b", "/"):
        with pytest.raises(DataError, match=r"^aligner .*; it must be mms_fa, pocketsphinx, or a TorchScript file"):
            require_aligner(name)


def test_the_identity_of_an_aligner_has_the_version_of_its_package(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(alignment, "version", {"pocketsphinx": "5.0.4", "torchaudio": "2.8.0"}.__getitem__)
    assert aligner_identity("pocketsphinx") == "pocketsphinx 5.0.4"
    assert aligner_identity("mms_fa") == "mms_fa 2.8.0"
    (tmp_path / "own.pt").touch()
    (tmp_path / "own.tokens.txt").touch()
    empty = hashlib.sha256(b"").hexdigest()
    assert aligner_identity(str(tmp_path / "own.pt")) == f"{tmp_path / 'own.pt'} {empty} {empty}"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(alignment, "version", missing)
    assert aligner_identity("pocketsphinx") == "pocketsphinx"


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
    for transcript, unknown in (("zab", "z"), ("dab [a] ca", r"\["), ("dab {a} ca", "{")):
        with pytest.raises(LeftOut, match=f"characters unknown to the aligner: {unknown}"):
            aligner.align(audio, transcript, frames)
    with pytest.raises(LeftOut, match="transcript does not align"):
        aligner.align(Audio(spoken("a")[:800], RATE), "abcdabcd", 3)


def test_ctc_model_that_cannot_be_read_is_one_line(tmp_path) -> None:
    (tmp_path / "model.pt").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"aligner .*model.pt: cannot be read .*; it must be mms_fa, pocketsphinx, or"):
        make_aligner(str(tmp_path / "model.pt"))


def test_icelandic_is_romanized_for_a_model_that_knows_no_icelandic(tones_model) -> None:
    aligner = CTCAligner(str(tones_model))
    aligner.ids = dict.fromkeys("thdaeopj", 1)
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
    assert prepared.splits == ["train", "train", "validation", "test"]
    assert {state.split(".")[0] for state in prepared.states} == {*TONES, "sil"}
    assert not prepared.left_out
    (root / "metadata.tsv").write_text("id\tsentence\n1\tx\n")
    with pytest.raises(DataError, match=r"expected the columns of Samrómur 21.05; missing speaker_id, filename"):
        corpus.read_utterances()


def test_alignment_is_shared_among_processes_with_the_same_result(tmp_path, tones_model, monkeypatch) -> None:
    folder = write_corpus(tmp_path / "corpus", labels=False)
    alone = prepare(FolderCorpus(folder), str(tones_model), RATE, tmp_path / "alone")
    monkeypatch.setattr(preparation, "PARALLEL_FROM", 1)
    monkeypatch.setattr(CTCAligner, "parallel", True)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    shared = prepare(FolderCorpus(folder), str(tones_model), RATE, tmp_path / "shared")
    assert shared.sha256 == alone.sha256
    np.testing.assert_allclose(shared.features, alone.features, atol=1e-2)
