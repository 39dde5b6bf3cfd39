"""What every source of speech gives: a manifest of utterances, and a way to label their frames."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from datamodules.errors import DataError
from datamodules.sources import sha256_of
from datamodules.speech.alignment import Phone
from datamodules.speech.features import Audio
from datamodules.speech.sources import Split


@dataclass(frozen=True)
class Utterance:
    """One entry of a source's manifest."""

    name: str
    """What messages call it: its path inside the source."""
    audio: Path | Audio
    transcript: str
    speaker: str
    split: Split
    phones: Sequence[Phone] | None = field(default=None, compare=False)
    """What was spoken when, where that is known."""
    labels: Path | None = None
    """Label file, where there is one; without phones and labels the transcript is aligned."""
    snr: float | None = None
    """Signal-to-noise ratio of white noise to add, in dB."""


class SpeechCorpus(ABC):
    """Utterances of one source."""

    aligner: str = "pocketsphinx"
    """What labels the utterances that have no labels yet; see alignment.make_aligner."""

    def fetch(self) -> None:  # noqa: B027
        """Download what can be downloaded.

        Raises:
            DataError: something is missing.
        """

    @abstractmethod
    def identity(self) -> str:
        """Checksum of all that the utterances are made from: the content of files, the parameters of a synthesis."""

    @abstractmethod
    def read_utterances(self) -> list[Utterance]:
        """Read the manifest.

        Raises:
            DataError: it is missing or malformed.
        """

    @cached_property
    def utterances(self) -> list[Utterance]:
        """The manifest, which is read once; raises what `read_utterances` raises."""
        return self.read_utterances()


def read_lines(path: Path, right: str) -> list[str]:
    """Lines of a text file that are not blank.

    Raises:
        DataError: it is missing or not UTF-8; the message says what would be right.
    """
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise DataError(f"{path} is missing; {right}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def hash_files(files: Sequence[Path], *more: str) -> str:
    """Checksum of the content of files, whether or not all of them are there, and of more text."""
    digest = hashlib.sha256()
    for path in files:
        digest.update((sha256_of(path) if path.is_file() else "missing").encode())
    for text in more:
        digest.update(text.encode())
    return digest.hexdigest()
