"""The interface of every source of speech: a manifest of utterances, and a way to label their frames."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from datamodules.errors import damaged
from datamodules.sources import Split, sha256_of
from datamodules.speech.alignment import Phone
from datamodules.speech.features import Audio


@dataclass(frozen=True)
class Utterance:
    """One entry of a source's manifest."""

    name: str
    """Name of the utterance in messages: its path inside the source."""
    audio: Path | Audio
    transcript: str
    speaker: str
    split: Split
    phones: Sequence[Phone] | None = field(default=None, compare=False)
    """The phones and their times, where these are known."""
    labels: Path | None = None
    """Label file, where there is one; without phones and labels the transcript is aligned."""
    snr: float | None = None
    """Signal-to-noise ratio of white noise to add, in dB."""


class SpeechCorpus(ABC):
    """Utterances of one source."""

    aligner: str = "pocketsphinx"
    """Name of the aligner of utterances without labels; see alignment.make_aligner."""

    def fetch(self) -> None:  # noqa: B027
        """Download what can be downloaded.

        Raises:
            DataError: something is missing.
        """

    @abstractmethod
    def identity(self) -> str:
        """Checksum of all that the utterances are made from: the content of files, the parameters of a synthesis.

        That of a manifest is taken before it is read, so that a change in between does not go unseen.
        """

    notes: tuple[str, ...] = ()
    """Whatever in the manifest was not taken as it stands."""
    has_splits = True
    """Whether the manifest, once it is read, names splits; else they are made here, by the words of prompts."""

    states_from = ""
    """What the states are read from, once the manifest is read, where no aligner is needed."""

    @abstractmethod
    def read_utterances(self) -> list[Utterance]:
        """Read the manifest.

        Raises:
            DataError: it is missing or malformed.
        """

    def files(self, manifest: Path) -> Iterator[Path]:
        """The manifest and, once it is read, the files of its utterances."""
        yield manifest
        for each in self.utterances:
            yield from (path for path in (each.audio, each.labels) if isinstance(path, Path))

    @cached_property
    def utterances(self) -> list[Utterance]:
        """The manifest, which is read once; raises what `read_utterances` raises."""
        return self.read_utterances()


def hash_files(files: Iterable[Path], *more: str) -> str:
    """Checksum of the content of files, whether or not all of them are there, and of more text.

    Of files that are generated each is read before the next one is asked for.
    """
    digest = hashlib.sha256()
    for path in files:
        with damaged(path):
            digest.update((sha256_of(path) if path.is_file() else "missing").encode())
    for text in more:
        digest.update(text.encode())
    return digest.hexdigest()
