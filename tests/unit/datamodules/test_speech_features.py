"""Audio of any kind becomes log-mel features of 10 ms frames."""

import numpy as np
import pytest
import soundfile
import torch
from support.corpora import RATE, spoken

from datamodules.speech.features import FEATURES, HOP_MS, MELS, Audio, LeftOut, log_mel, read_audio


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
    soundfile.write(tmp_path / "silence.wav", np.zeros((4, 2)), 8000)
    assert read_audio(tmp_path / "silence.wav").samples.tolist() == [0, 0, 0, 0]
    soundfile.write(tmp_path / "opposite.wav", np.array([[1000, -1000], [-500, 501]], np.int16), 8000)
    with pytest.raises(LeftOut, match="audio's channels cancel each other: give it one of them"):
        read_audio(tmp_path / "opposite.wav")


SOUND = spoken("abcd") / 32768
NOISE = np.random.default_rng(0).standard_normal(len(SOUND)) * SOUND.std()


def left_of(path, channels: list[np.ndarray], subtype: str = "FLOAT") -> str:
    """Why a recording is left out, or nothing."""
    soundfile.write(path, np.stack(channels, axis=1), RATE, subtype=subtype)
    try:
        read_audio(path)
    except LeftOut as error:
        return error.reason
    return ""


def test_a_recording_that_16_bits_leave_next_to_nothing_of_is_left_out_and_counted(tmp_path) -> None:
    """As where integer samples were divided by their scale twice: it would be silence, and be trained on."""
    path, wrong = tmp_path / "a.wav", "audio is not on the scale from -1 to 1"
    for subtype, scale in (("FLOAT", 2**-13), ("FLOAT", 2**-15), ("PCM_24", 2**-15), ("DOUBLE", 2**-60)):
        assert left_of(path, [scale * SOUND], subtype) == wrong
        assert left_of(path, [scale * SOUND, scale * NOISE], subtype) == wrong
    with pytest.raises(LeftOut, match=r"-1 to 1: its peak is 2e-19, of which 16 bits leave next to nothing"):
        read_audio(path)
    quiet = np.random.default_rng(1).integers(-1, 2, (2, 8000)).astype(np.int16)  # the noise of a good converter
    assert left_of(path, [*quiet], "PCM_16") == left_of(path, [quiet[0]], "PCM_16") == ""
    assert left_of(path, [0 * SOUND]) == left_of(path, [0 * SOUND, 0 * SOUND]) == ""
    assert left_of(path, [SOUND / 1000]) == left_of(path, [SOUND / 1000], "PCM_24") == ""


def test_channels_that_cancel_each_other_all_but_some_noise_are_left_out(tmp_path) -> None:
    path, wrong = tmp_path / "a.wav", "audio's channels cancel each other"
    for noise in (0.001, 0.03, 0.3, 0.5):  # the mean of both is this noise alone
        assert left_of(path, [SOUND, noise * NOISE - SOUND]) == wrong
    assert left_of(path, [SOUND, NOISE]) == left_of(path, [SOUND, SOUND]) == left_of(path, [SOUND, 0 * SOUND]) == ""
    assert left_of(path, [SOUND, *[0 * SOUND] * 63]) == ""  # one microphone of many
