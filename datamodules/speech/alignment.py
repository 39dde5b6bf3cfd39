"""Frame labels: three states for each phone, from times that are known or forced alignment."""

import itertools
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import regex
import torch
from torchaudio.functional import forced_align, merge_tokens

from datamodules.errors import DataError, damaged
from datamodules.sources import sha256_of
from datamodules.speech.features import HOP_MS, WINDOW_MS, Audio, LeftOut
from datamodules.speech.sources import MMS
from datamodules.text import read_text

SILENCE = "sil"
STATES_PER_PHONE = 3
RATE = 16_000
"""Samples per second that both aligners listen at."""
FRAMES_OFF = 3
"""Most frames by which labels and features may differ in length; their windows do not end at the same sample."""
PACKAGES = {"pocketsphinx": "pocketsphinx", MMS: "torchaudio"}
"""The package that an aligner is part of, by the aligner's name."""


@dataclass(frozen=True)
class Phone:
    """A phone or character and when it was spoken."""

    name: str
    begin: float
    """Seconds from the start of the audio."""
    end: float


def states_of(phones: Sequence[Phone], frames: int) -> list[str]:
    """The state of each frame, by what is spoken at the frame's center; each phone's time is cut into three.

    Args:
        phones: in order of time; what lies between them is silence.
        frames: number of frames.
    """
    states, current = [], 0
    for frame in range(frames):
        center = (HOP_MS * frame + WINDOW_MS / 2) / 1000
        while current < len(phones) and phones[current].end <= center:
            current += 1
        name, part = SILENCE, 1
        if current < len(phones) and phones[current].begin <= center:
            phone = phones[current]
            part = int(STATES_PER_PHONE * (center - phone.begin) / (phone.end - phone.begin))
            name = phone.name
        states.append(f"{name}.{1 if name == SILENCE else min(part, STATES_PER_PHONE - 1)}")
    return states


def fitted(states: Sequence[str], frames: int, reason: str, most: float = FRAMES_OFF) -> list[str]:
    """States cut, or the last one repeated, to the number of frames.

    Raises:
        LeftOut: for the given reason, where the two differ by more than `most` frames.
    """
    if not states or abs(len(states) - frames) > most:
        raise LeftOut(reason, f"{len(states)} labels for {frames} frames")
    return [*states, *[states[-1]] * (frames - len(states))][:frames]


class Aligner(ABC):
    """Finds when each part of a transcript was spoken."""

    parallel: bool
    """True where several processes should share the work."""

    @abstractmethod
    def align(self, audio: Audio, transcript: str, frames: int) -> list[str]:
        """The state of each frame.

        Raises:
            LeftOut: the transcript has a word unknown to the aligner, or does not align with the audio.
        """


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


_SYMBOL = r"[[\p{S}*#@&%\u2030\xa7\[\]{}]--[`\xb4]]"
"""Characters that are spoken, nobody knows how: all symbols but those that stand for quotation marks.

Square and curly brackets are among them: what is in them, such as `[noise]`, is a tag and no word that is said.
"""
_LETTERS = r"[\p{L}\p{Nl}\p{No}][\p{L}\p{M}\p{Nl}\p{No}]*"
_NUMBER = r"(?:(?<![\w.-])[-.])?\d+(?:[.,:/]\d+)*"
_SPOKEN = regex.compile(rf"{_NUMBER}|{_LETTERS}(?:'{_LETTERS})*|{_SYMBOL}", regex.VERSION1)
_IS_SYMBOL = regex.compile(_SYMBOL, regex.VERSION1)


def words_of(transcript: str) -> list[str]:
    """Words of an English transcript in lower case, single digits spelled out, punctuation dropped.

    Other numbers, such as 10, 3.5, 1/2 and -5, whose reading is not certain, and symbols such as * and [ stay as
    they are: no dictionary has them.
    """
    found = _SPOKEN.findall(transcript.lower().replace("\u2019", "'"))
    return [_DIGITS[int(word)] if len(word) == 1 and word.isdecimal() else word for word in found]


class PocketsphinxAligner(Aligner):
    """CMU pocketsphinx with the American English model it comes with: three states a phone, found in two passes.

    Raises:
        DataError: the package is not installed.
    """

    parallel = True

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise DataError("aligning English needs pocketsphinx: pip install -e '.[speech]'") from error
        # bestpath ends utterances in a one-frame </s>, which the pass over phones cannot align (its issue 339).
        self.decoder = Decoder(lm=None, bestpath=False, loglevel="FATAL")

    def align(self, audio: Audio, transcript: str, frames: int) -> list[str]:
        """See Aligner.align."""
        words = words_of(transcript)
        if not words:
            raise LeftOut("no words in the transcript", repr(transcript))
        if unknown := sorted({word for word in words if self.decoder.lookup_word(word) is None}):
            raise LeftOut("words unknown to the aligner", ", ".join(unknown))
        samples = audio.at(RATE).round().clamp(-32768, 32767).to(torch.int16).numpy().tobytes()
        try:
            self.decoder.set_align_text(" ".join(words))
            self._decode(samples)
            if self.decoder.hyp() is None:
                raise LeftOut("transcript does not align")
            self.decoder.set_alignment()
            self._decode(samples)
        except RuntimeError as error:
            raise LeftOut("transcript does not align") from error
        states = [
            f"{SILENCE if phone.name == 'SIL' else phone.name}.{part}"
            for word in self.decoder.get_alignment()
            for phone in word
            for part, state in enumerate(phone)
            for _ in range(state.duration)
        ]
        return fitted(states, frames, "transcript does not align")

    def _decode(self, samples: bytes) -> None:
        self.decoder.reinit_feat()  # or what the last utterance left in it would decide a frame here and there
        self.decoder.start_utt()
        try:
            self.decoder.process_raw(samples, full_utt=True)
        finally:
            self.decoder.end_utt()


_ROMAN = str.maketrans({"þ": "th", "ð": "d", "æ": "ae", "ø": "o", "đ": "d", "ß": "ss", "\u2019": "'"})

EDGE = 0.08
"""Seconds that a character at the edge of a word reaches at most beyond the steps where the model names it."""


class CTCAligner(Aligner):
    """Forced alignment of characters under a CTC model (torchaudio.functional.forced_align).

    Args:
        model: "mms_fa", which torchaudio downloads, or the path of a TorchScript module: called with waveforms
            [1, samples] at 16 kHz it gives scores [1, steps, tokens], or a tuple that begins with them. A file
            beside it with the suffix .tokens.txt names its tokens, one a line, the blank first.

    Raises:
        DataError: the model or its tokens cannot be read.
    """

    parallel = False

    def __init__(self, model: str) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Any
        if model == MMS:
            from torchaudio.pipelines import MMS_FA

            with damaged(MMS, "it needs a network", "cannot be downloaded"):
                self.model = MMS_FA.get_model(with_star=False)
            tokens = list(MMS_FA.get_labels(star=None))
        else:
            load: Any = torch.jit.load  # which has no annotations
            with damaged(f"aligner {model}", _right(model)):
                self.model = load(Path(model), map_location="cpu")
                tokens = read_text(_tokens_file(model))
        self.model = self.model.to(self.device).eval()
        self.ids = {token: index for index, token in enumerate(tokens) if index and token}

    def align(self, audio: Audio, transcript: str, frames: int) -> list[str]:
        """See Aligner.align."""
        words = [self._tokens(word) for word in transcript.lower().split()]
        targets = [token for word in words for token in word]
        if not targets:
            raise LeftOut("no words in the transcript", repr(transcript))
        waveform = audio.at(RATE) / 32768
        try:
            with torch.inference_mode():
                scores = self.model(waveform[None].to(self.device))
                scores = (scores[0] if isinstance(scores, tuple) else scores).float().log_softmax(dim=-1).cpu()
                path, path_scores = forced_align(scores, torch.tensor([[self.ids[token] for token in targets]]))
        except RuntimeError as error:
            raise LeftOut("transcript does not align", str(error).splitlines()[0]) from error
        seconds = len(waveform) / RATE / scores.shape[1]
        spans = merge_tokens(path[0], path_scores[0].exp())
        begins, ends = [seconds * span.start for span in spans], [seconds * span.end for span in spans]
        of_word = [number for number, word in enumerate(words) for _ in word]
        # A CTC model names a character in a step or two and is silent until the next: the time between is theirs.
        reach = []
        for end, begin, same in zip([0.0, *ends], [*begins, len(waveform) / RATE], _same(of_word), strict=True):
            half = (begin - end) / 2 if same else min((begin - end) / 2, EDGE)
            reach.append((end + half, begin - half))
        phones = [Phone(token, reach[i][1], reach[i + 1][0]) for i, token in enumerate(targets)]
        return states_of(phones, frames)

    def _tokens(self, word: str) -> list[str]:
        """Characters of a word as the model has them, without their accents or romanized where it does not."""
        found = []
        for character in word:
            apart = unicodedata.normalize("NFKD", character.translate(_ROMAN))
            plain = [part for part in apart if not unicodedata.combining(part)]
            for candidate in ([character], plain):
                if all(c in self.ids for c in candidate):
                    found += candidate
                    break
            else:
                if character.isalnum() or _IS_SYMBOL.match(character):
                    raise LeftOut("characters unknown to the aligner", character)
        return found


def _same(of_word: Sequence[int]) -> list[bool]:
    """For each gap, true where the characters before and after it are of one word; never for the first and the last."""
    return [False, *(before == after for before, after in itertools.pairwise(of_word)), False]


def make_aligner(name: str) -> Aligner:
    """The aligner of that name: pocketsphinx, mms_fa, or the path of a TorchScript CTC model."""
    return PocketsphinxAligner() if name == "pocketsphinx" else CTCAligner(name)


def require_aligner(name: str) -> None:
    """Refuse an aligner that is not there, whether or not the data need one; no name at all is the usual one.

    Raises:
        DataError: it is none of the names, and no file with its tokens beside it.
    """
    if name and name not in PACKAGES:
        with damaged(f"aligner {name}", _right(name)):
            for path in (Path(name), _tokens_file(name)):
                if not path.is_file():
                    raise DataError(f"aligner {name}: {path} is not a file; {_right(name)}")


def aligner_identity(name: str) -> str:
    """Name of the aligner, version of its package and checksums of its files, on which its labels depend.

    The aligner is not loaded, and its package need not be there.
    """
    found = [name]
    with suppress(PackageNotFoundError):
        found += [version(PACKAGES[name])] if name in PACKAGES else []
    return " ".join([*found, *(sha256_of(path) for path in (Path(name), _tokens_file(name)) if path.is_file())])


def _tokens_file(model: str) -> Path:
    return Path(model).parent / f"{Path(model).stem}.tokens.txt"


def _right(model: str) -> str:
    """What the name of an aligner must be."""
    beside = f"{_tokens_file(model).name} beside it (one token a line, blank first)"
    return f"it must be {MMS}, pocketsphinx, or a TorchScript file with {beside}"
