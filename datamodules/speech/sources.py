"""The data sets of speech, by name: synthetic sentences, Asterisk's prompts, LibriSpeech, Samrómur."""

from pathlib import Path
from typing import Literal

from datamodules.errors import DataError
from datamodules.sources import FolderSource

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

ESPEAK = "espeak"
"""The synthetic source: it needs no file of its own, only the package espeakng-loader and sentences to say."""

MMS = "mms_fa"
"""Name of torchaudio's multilingual alignment model (Pratap et al. 2023), which knows romanized text."""

ASTERISK = FolderSource(
    name="asterisk-en",
    task="speech",
    description="Asterisk core sounds, English: 554 telephone prompts read by one speaker, 25 minutes, 8 kHz",
    terms="CC-BY-SA-3.0, recordings by Allison Smith",
    needs=("transcripts.tsv",),
    instructions="unpack asterisk-core-sounds-en-wav there and write transcripts.tsv (path, tab, text) from its list",
)
SUBSETS: dict[Split, str] = {"train": "train-clean-100", "validation": "dev-clean", "test": "test-clean"}
"""The subset of LibriSpeech that serves as each split."""


class LibriSpeechSource(FolderSource):
    """LibriSpeech, which torchaudio downloads and unpacks."""

    def fetch(self, data: Path) -> None:
        """Download what is missing.

        Raises:
            DataError: no network, or a folder that cannot be written.
        """
        from torchaudio.datasets import LIBRISPEECH

        for subset in SUBSETS.values():
            try:
                (data / self.name).mkdir(parents=True, exist_ok=True)
                LIBRISPEECH(data / self.name, subset, download=True)
            except (OSError, RuntimeError) as error:
                raise DataError(
                    f"{data / self.name / 'LibriSpeech' / subset} is missing and cannot be downloaded "
                    f"(no network?): {error}; {self.instructions}"
                ) from error


LIBRISPEECH_SOURCE = LibriSpeechSource(
    name="librispeech",
    task="speech",
    description="LibriSpeech, 100 hours of read English: train-clean-100, validated on dev-clean, tested on test-clean",
    terms="CC-BY-4.0",
    needs=tuple(f"LibriSpeech/{subset}" for subset in SUBSETS.values()),
    instructions="`rnnreg data fetch librispeech` gets it (7 GB), or unpack its three subsets of OpenSLR 12 there",
)
SAMROMUR = FolderSource(
    name="samromur",
    task="speech",
    description="Samrómur 21.05, 145 hours of read Icelandic: open, and in the paper's language",
    terms="CC-BY-4.0",
    needs=("metadata.tsv", "train", "dev", "test"),
    instructions="unpack Samrómur 21.05 (OpenSLR 112) there",
)

SOURCES: tuple[FolderSource, ...] = (ASTERISK, LIBRISPEECH_SOURCE, SAMROMUR)
