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
