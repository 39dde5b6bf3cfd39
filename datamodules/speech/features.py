"""Audio to acoustic features: log-mel energies with deltas, one vector every 10 ms."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.compliance import kaldi
from torchaudio.functional import add_noise, compute_deltas, resample

from datamodules.bounds import AUDIO_SECONDS, CHANNELS, RESAMPLING, SAMPLE_RATE
from datamodules.errors import DataError, damaged
from datamodules.speech.whole import FORMATS, missing_end, unread_rest, without_tags, wrong_samples

VERSION = 1
"""Version of the features, to be raised with any change here that alters them.

It is part of the data's checksum in place of the features themselves, since floats differ by machine.
"""

MELS = 40
"""Mel bands; with their deltas and the deltas of those, a vector has three times as many values."""
FEATURES = 3 * MELS
WINDOW_MS, HOP_MS = 25.0, 10.0
"""Length of a frame and the step from one to the next."""

UNKNOWN_FRAMES = 2**63 - 1
"""The length that libsndfile gives a file whose header does not name it."""


class LeftOut(DataError):
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
    clamped: bool = False
    """Whether samples were beyond the scale, and were put at its end."""

    def at(self, rate: int) -> Tensor:
        """Samples [samples] at another rate, floats on the scale of 16-bit integers.

        Raises:
            DataError: the rates have so small a common factor that the filter would fill the memory.
        """
        common = math.gcd(self.rate, rate)
        old, new = self.rate // common, rate // common
        weights = new * (old + 2 * math.ceil(6 * old / (0.99 * min(old, new)))) if old != new else 0
        RESAMPLING.check(weights, f"{self.rate:,} samples a second, to be resampled to {rate:,}")
        samples: Tensor = resample(torch.from_numpy(self.samples).float(), self.rate, rate)
        return samples


BEYOND = 16.0
"""Peak, full scale being 1, from which on samples are of another scale rather than too loud."""

ROUNDED_AWAY = 0.1
"""Part of a recording's power that rounding to 16 bits may alter: more is only altered on too small a scale."""

CANCELED = 0.25
"""Power of the mean of all channels, below which they cancel each other; that of unrelated channels is 1."""


def read_audio(path: Path) -> Audio:
    """Read any file that libsndfile can, channels mixed down: decoded in floating point, then clamped to 16 bits.

    Decoded as integers, a file of floating-point samples, whose scale is from -1 to 1, would become silence.

    Raises:
        LeftOut: it is missing, empty, not audio, without its end, longer than its header says, damaged, beyond the
            bounds, of another scale, of a format that does not tell this, or its channels cancel each other. What is
            digital silence stays.
    """
    samples, rate = _decoded(path)
    if not len(samples):
        raise LeftOut("audio is empty")
    mixed = (samples * 32768).mean(axis=1)
    if not np.isfinite(mixed).all():
        raise LeftOut("audio has samples that are no numbers")
    if (peak := np.abs(mixed).max()) > BEYOND * 32768:
        raise LeftOut("audio is not on the scale from -1 to 1", f"its peak is {peak / 32768:,.0f}")
    powers = _powers(samples)
    loudest = 32768 * samples[:, [powers.argmax()]]  # the mean of quiet 16-bit channels may have halves to be rounded
    if _powers(loudest - np.rint(loudest)) > ROUNDED_AWAY * _powers(loudest):
        detail = f"its peak is {np.abs(loudest).max() / 32768:.1g}, of which 16 bits leave next to nothing"
        raise LeftOut("audio is not on the scale from -1 to 1", detail)
    if _powers(mixed[:, None]) / 32768**2 < CANCELED * powers.sum() / len(powers) ** 2:
        raise LeftOut("audio's channels cancel each other", "give it one of them")
    whole = np.rint(mixed).clip(-32768, 32767).astype(np.int16)
    return Audio(whole, rate, clamped=bool(peak > 32768))


def _decoded(path: Path) -> tuple[np.ndarray, int]:
    """All samples of a file, float32 [samples, channels], and how many of them are a second.

    Raises:
        LeftOut: it is missing, cannot be read, or nothing tells that these are all of its samples as they were encoded.
    """
    try:
        with damaged(path):
            if not path.exists():
                raise LeftOut("audio is missing", str(path))
        with damaged(path), soundfile.SoundFile(path) as file:
            SAMPLE_RATE.check(file.samplerate, path)
            CHANNELS.check(file.channels, path)
            if file.format not in FORMATS:
                raise DataError(
                    f"{path}: nothing tells whether a file of {file.format} is whole; save it as FLAC or WAV"
                )
            if file.frames == UNKNOWN_FRAMES:
                raise DataError(f"{path}: its header does not name its length, as in a stream; save it as a file")
            AUDIO_SECONDS.check(file.frames / file.samplerate, path)
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
            content = without_tags(path.read_bytes())
            missing, rest = missing_end(content, file.frames, len(samples)), unread_rest(content, file.frames)
    except LeftOut:
        raise
    except DataError as error:
        raise LeftOut("audio cannot be read", str(error)) from error
    if missing:
        raise LeftOut("audio breaks off", f"{path}: {missing}")
    if rest:
        raise LeftOut("audio goes on after what is read", f"{path}: {rest}")
    if wrong := wrong_samples(content, samples):
        raise LeftOut("audio is damaged", f"{path}: {wrong}")
    return samples, rate


def _powers(samples: np.ndarray) -> np.ndarray:
    """Mean square of each channel [channels] of samples [samples, channels]."""
    squares: np.ndarray = np.einsum("tc,tc->c", samples, samples, dtype=np.float64)
    return squares / len(samples)


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


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [values] of features [frames, values], such as a speaker's."""
    return features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-3)
