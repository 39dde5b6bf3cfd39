"""Audio to acoustic features: log-mel energies with deltas, one vector every 10 ms."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.compliance import kaldi
from torchaudio.functional import add_noise, compute_deltas, resample

VERSION = 1
"""Version of the features, to be raised with any change here that alters them.

It is part of the data's checksum in place of the features themselves, since floats differ by machine.
"""

MELS = 40
"""Mel bands; with their deltas and the deltas of those, a vector has three times as many values."""
FEATURES = 3 * MELS
WINDOW_MS, HOP_MS = 25.0, 10.0
"""Length of a frame and the step from one to the next."""


class LeftOut(Exception):
    """An utterance that cannot be used; the rest of its corpus can.

    Args:
        reason: kind of trouble, by which such utterances are counted.
        detail: description of the trouble with this one.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True)
class Audio:
    """One channel of 16-bit samples."""

    samples: np.ndarray
    """int16 [samples]."""
    rate: int
    """Samples per second."""

    def at(self, rate: int) -> Tensor:
        """Samples [samples] at another rate, floats on the scale of 16-bit integers."""
        samples: Tensor = resample(torch.from_numpy(self.samples).float(), self.rate, rate)
        return samples


def read_audio(path: Path) -> Audio:
    """Read any file that libsndfile can, channels mixed down.

    Raises:
        LeftOut: it is missing, empty or not audio.
    """
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, RuntimeError) as error:  # soundfile's own errors are RuntimeErrors
        raise LeftOut("audio cannot be read", str(error).removeprefix(f"Error opening {str(path)!r}: ")) from error
    if not len(samples):
        raise LeftOut("audio is empty")
    return Audio(np.rint(samples.astype(np.float32).mean(axis=1)).astype(np.int16), rate)


def log_mel(audio: Audio, rate: int, snr: float | None = None, noise_seed: int = 0) -> Tensor:
    """Log-mel energies and their first and second differences, [frames, FEATURES].

    Frame t covers HOP_MS * t to HOP_MS * t + WINDOW_MS milliseconds; what follows the last whole frame is dropped.

    Args:
        audio: the recording.
        rate: samples per second that it is analyzed at.
        snr: signal-to-noise ratio in dB of white noise that is added first; None adds none.
        noise_seed: seed of the noise.

    Raises:
        LeftOut: it is shorter than a frame.
    """
    waveform = audio.at(rate)
    if len(waveform) < int(rate * WINDOW_MS / 1000):
        raise LeftOut("shorter than a frame", f"{1000 * len(audio.samples) / audio.rate:.0f} ms, a frame has 25")
    if snr is not None:
        noise = torch.randn(len(waveform), generator=torch.Generator().manual_seed(noise_seed))
        waveform = add_noise(waveform, noise, torch.tensor(snr))
    energies = kaldi.fbank(
        waveform[None],
        num_mel_bins=MELS,
        sample_frequency=rate,
        frame_length=WINDOW_MS,
        frame_shift=HOP_MS,
    )
    energies = energies.clamp(min=0).T  # below 1 is digital silence, whose logarithm is as good as arbitrary
    deltas = compute_deltas(energies)
    return torch.cat([energies, deltas, compute_deltas(deltas)]).T


def normalized(features: Tensor) -> Tensor:
    """Features [frames, values], such as a speaker's, with mean 0 and variance 1 of each value."""
    return (features - features.mean(dim=0)) / features.std(dim=0, correction=0).clamp(min=1e-3)
