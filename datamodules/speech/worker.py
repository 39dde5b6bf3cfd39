"""One utterance: its recording is read, its features are computed, and its frames labeled."""

import hashlib
from collections.abc import Collection

from torch import Tensor

from datamodules.errors import DataError, damaged
from datamodules.speech.alignment import Aligner, states_of
from datamodules.speech.corpus import Utterance
from datamodules.speech.features import Audio, LeftOut, log_mel, read_audio
from datamodules.speech.label_files import read_labels
from datamodules.speech.notes import BEGINS_ALONE, FITTED, ROUND_BRACKETS, remarks_on

Result = tuple[Tensor, list[str], str, tuple[str, ...]]
"""Features [frames, values], the state of each frame, a checksum of the audio, and kinds of remarks on it."""


class Worker:
    """Reads one utterance, computes its features and labels its frames.

    Args:
        aligner: aligns utterances without labels; None where all have some.
        rate: samples per second that features are computed at.
        headings: states that label files begin with and no other frame has: see label_files.headed.
    """

    def __init__(self, aligner: Aligner | None, rate: int, headings: Collection[str] = ()) -> None:
        self.aligner, self.rate, self.headings = aligner, rate, headings

    def __call__(self, utterance: Utterance) -> Result | LeftOut:
        """The utterance's features and states, or why it is left out."""
        try:
            with damaged(utterance.name):
                return self._work(utterance)
        except LeftOut as problem:
            return problem
        except DataError as error:
            return LeftOut("cannot be used", str(error))

    def _work(self, utterance: Utterance) -> Result:
        audio = utterance.audio if isinstance(utterance.audio, Audio) else read_audio(utterance.audio)
        checksum = hashlib.sha256(repr(audio.rate).encode() + audio.samples.tobytes()).hexdigest()
        features = log_mel(audio, self.rate, utterance.snr, noise_seed=int(checksum[:8], 16))
        states, remarks = self._states(utterance, audio, len(features))
        return features, states, checksum, (*remarks_on(audio, self.rate), *remarks)

    def _states(self, utterance: Utterance, audio: Audio, frames: int) -> tuple[list[str], list[str]]:
        """The state of each frame, and kinds of remarks on what they are from."""
        if utterance.phones is not None:
            return states_of(utterance.phones, frames), []
        if utterance.labels is not None:
            states, fitted = read_labels(utterance.labels, frames, self.headings)
            return states, [FITTED] * fitted + [BEGINS_ALONE] * (states[0] in self.headings)
        assert self.aligner is not None
        states = self.aligner.align(audio, utterance.transcript, frames)
        return states, [ROUND_BRACKETS] * ("(" in utterance.transcript)
