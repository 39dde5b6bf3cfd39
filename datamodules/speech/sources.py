"""The data sets of speech, by name: synthetic sentences, Asterisk's prompts, LibriSpeech, Samrómur."""

import tempfile
from pathlib import Path

from datamodules.errors import DataError, damaged
from datamodules.scratch import PREFIX
from datamodules.sources import FolderSource, Source, SourceFile, Split

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
RECORDINGS = {"train-clean-100": 28_539, "dev-clean": 2_703, "test-clean": 2_620}
"""Recordings of each subset as published."""


ARCHIVES = tuple(
    SourceFile(f"{subset}.tar.gz", sha256, f"https://www.openslr.org/resources/12/{subset}.tar.gz")
    for subset, sha256 in (
        ("train-clean-100", "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
        ("dev-clean", "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        ("test-clean", "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
    )
)


class LibriSpeechSource(FolderSource):
    """LibriSpeech, which is downloaded and unpacked."""

    def fetch(self, data: Path) -> None:
        """Download what is missing.

        Raises:
            DataError: no network, or a folder that cannot be written.
        """
        folder = data / self.name
        for subset, archive in zip(SUBSETS.values(), ARCHIVES, strict=True):
            if (folder / "LibriSpeech" / subset).is_dir():
                continue
            with damaged(folder / "LibriSpeech" / subset, self.instructions, "is missing and cannot be downloaded"):
                try:
                    Source(self.name, self.task, self.description, self.terms, (archive,)).fetch(data)
                except DataError as error:
                    raise OSError(str(error)) from error
                _unpack(folder / archive.name, folder)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive as a whole: a subset is there only once all its files are."""
    import tarfile

    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder) as scratch:
        with tarfile.open(archive) as file:
            file.extractall(scratch, filter="data")  # no name leads out of the folder
        (folder / "LibriSpeech").mkdir(exist_ok=True)
        for path in (Path(scratch) / "LibriSpeech").iterdir():
            if not (folder / "LibriSpeech" / path.name).exists():
                path.rename(folder / "LibriSpeech" / path.name)
    archive.unlink()


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
