"""From a source's utterances to features and labels: computed once, kept on disk by a checksum of what went in."""

import hashlib
import json
import logging
import multiprocessing
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.cache import cores, prepared
from datamodules.errors import DataError, counted, damaged
from datamodules.sources import SPLITS
from datamodules.speech.alignment import aligner_identity, make_aligner
from datamodules.speech.corpus import SpeechCorpus, Utterance
from datamodules.speech.features import FEATURES, LeftOut, statistics
from datamodules.speech.features import VERSION as FEATURES_VERSION
from datamodules.speech.label_files import headed
from datamodules.speech.notes import notes_on
from datamodules.speech.splits import shared_phrases
from datamodules.speech.worker import Result, Worker
from datamodules.text import read_json

VERSION = 12
"""Version of the preparation, to be raised when code here, in alignment or in the sources alters its result."""
SHOWN = 10
"""Most utterances left out that are named in warnings; records name up to KEPT_NAMES."""
KEPT_NAMES = 200
PARALLEL_FROM = 2000
"""Utterances from which on alignment is shared among processes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Features and labels of all utterances that could be used, one after another."""

    features: np.ndarray
    """float16 [frames, values], normalized for each speaker and split; mapped, not read."""
    labels: np.ndarray
    """int64 [frames]: indices into states."""
    lengths: list[int]
    """Frames of each utterance."""
    splits: list[str]
    """Split of each utterance."""
    states: list[str]
    """Names of the acoustic states."""
    left_out: dict[str, str]
    """Utterances that could not be used, each with the reason."""
    reasons: dict[str, int]
    """Number of them for each kind of reason."""
    shared_phrases: dict[str, float]
    """Share of each held-out split's phrases that are in the training set as well: splits.shared_phrases."""
    sha256: str
    """Checksum of audio, labels, splits and of how features are made."""
    notes: list[str] = field(default_factory=list)
    """Whatever was not taken as it stands, and recordings and speakers that are in several splits."""
    names: list[str] = field(default_factory=list)
    """Name of each utterance."""


def prepare(corpus: SpeechCorpus, aligner: str, rate: int, data: Path, name: str = "the source") -> Prepared:
    """Features and labels of a corpus, from the cache where they are there.

    Args:
        corpus: the utterances.
        aligner: name of the aligner of utterances without labels; the corpus's own if empty.
        rate: samples per second that features are computed at.
        data: folder of the data; the cache is DATA/prepared, or where that cannot be written ~/.cache/rnnreg.
        name: name of the source in messages.

    Raises:
        DataError: the source is missing or malformed, or no utterance can be used.
    """
    asked, aligner = aligner, aligner or corpus.aligner

    def identify() -> str:
        source = corpus.identity()  # which may read the manifest, and what it says of states
        inputs = (VERSION, FEATURES_VERSION, source, "" if corpus.states_from else aligner_identity(aligner), rate)
        return hashlib.sha256(repr(inputs).encode()).hexdigest()[:16]

    def write(folder: Path) -> None:
        compute(corpus.utterances, aligner, rate, folder, name)

    found = load(prepared(identify, name, data, write))
    if not (asked and corpus.states_from):
        return found
    note = f"states are read from {corpus.states_from}, and the aligner {asked} is not used"
    return replace(found, notes=[*found.notes, note])


def require_splits(prepared: Prepared, name: str, corpus: SpeechCorpus | None = None) -> None:
    """Refuse data that no model can be trained, validated and tested on.

    Raises:
        DataError: no utterance of a split can be used, or a corpus without splits has too few prompts for three.
    """
    if corpus and not corpus.has_splits and {*SPLITS} - {each.split for each in corpus.utterances}:
        prompts = counted(len(corpus.utterances), "prompt", "is", "are")
        raise DataError(
            f"{name}: {prompts} too few, or too much alike, to be split; give each line a split (train, validation or "
            "test)"
        )
    for split in SPLITS:
        if split not in prepared.splits:
            used, left_out = len(prepared.splits), prepared.left_out
            every = used + sum(prepared.reasons.values())
            raise DataError(f"{name}: no {split} utterance can be used, of {every} in all; {first(left_out)}")


def require_states(prepared: Prepared, name: str) -> None:
    """Refuse training frames that all have one state, which every model would name rightly without a look at them.

    Raises:
        DataError: they have.
    """
    labels = labels_of(prepared, "train")
    if (labels == labels[0]).all():
        state = prepared.states[labels[0]]
        raise DataError(
            f"{name}: every training frame has the state {state}; labels name one of several for each 10 ms"
        )


def load(folder: Path) -> Prepared:
    """Prepared data from its folder.

    Raises:
        DataError: it is damaged.
    """
    with damaged(folder, "delete it, it is made again", "is damaged"):
        about = read_json(folder / "about.json", f"delete {folder}, it is made again")
        return Prepared(np.load(folder / "features.npy", mmap_mode="r"), np.load(folder / "labels.npy"), **about)


def compute(utterances: list[Utterance], aligner: str, rate: int, folder: Path, name: str = "the source") -> None:
    """Compute features and labels of all utterances and write them to a folder; large corpora pass through the disk."""
    used: list[Utterance] = []
    lengths: list[int] = []
    labels: list[np.ndarray] = []
    ids: dict[str, int] = {}
    left_out: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    checksums: list[str] = []
    remarks: Counter[str] = Counter()
    digest = hashlib.sha256(repr((FEATURES_VERSION, rate)).encode())
    with (folder / "raw").open("wb") as raw:
        for utterance, result in zip(utterances, _each(utterances, aligner, rate), strict=True):
            if isinstance(result, LeftOut):
                left_out[utterance.name] = str(result)
                reasons[result.reason] += 1
                if len(left_out) <= SHOWN:
                    logger.warning("%s: left out: %s", utterance.name, result)
                continue
            features, states, checksum, own_remarks = result
            remarks.update(own_remarks)
            checksums.append(checksum)
            raw.write(features.numpy().tobytes())
            labels.append(np.array([ids.setdefault(state, len(ids)) for state in states], np.int32))
            used.append(utterance)
            lengths.append(len(states))
            digest.update(repr((utterance.split, utterance.speaker, utterance.snr, checksum, states)).encode())
    if left_out:
        counted = ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
        logger.warning("%d of %d utterances left out (%s)", len(left_out), len(utterances), counted)
    if not used:
        raise DataError(f"{name}: no utterance can be used, of {len(utterances)} in all; {first(left_out)}")
    shape = (sum(lengths), FEATURES)
    raw_features = np.memmap(folder / "raw", np.float32, "r", shape=shape)
    _write_normalized(raw_features, used, lengths, folder / "features.npy")
    (folder / "raw").unlink()
    names = sorted(ids)
    order = np.array([names.index(state) for state in ids])
    np.save(folder / "labels.npy", order[np.concatenate(labels)])
    about: dict[str, Any] = {
        "lengths": lengths,
        "splits": [utterance.split for utterance in used],
        "states": names,
        "left_out": dict(list(left_out.items())[:KEPT_NAMES]),
        "reasons": dict(reasons),
        "shared_phrases": shared_phrases((utterance.transcript, utterance.split) for utterance in used),
        "sha256": digest.hexdigest(),
        "notes": notes_on(used, checksums, remarks),
        "names": [utterance.name for utterance in used],
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _write_normalized(raw: np.ndarray, utterances: list[Utterance], lengths: list[int], path: Path) -> None:
    """Normalize raw features [frames, values] for each speaker and split, and write them as float16.

    They are written one after another, not through a memory map: on a full disk that kills the process.
    """
    ends = np.cumsum(lengths).tolist()
    groups: dict[tuple[str, str], list[slice]] = {}
    for utterance, end, length in zip(utterances, ends, lengths, strict=True):
        groups.setdefault((utterance.speaker, utterance.split), []).append(slice(end - length, end))
    of_group = {
        group: statistics(torch.from_numpy(np.concatenate([raw[each] for each in slices])))
        for group, slices in groups.items()
    }
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False, "shape": raw.shape}
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for utterance, end, length in zip(utterances, ends, lengths, strict=True):
            mean, deviation = of_group[utterance.speaker, utterance.split]
            normalized = (torch.from_numpy(raw[end - length : end].copy()) - mean) / deviation
            out.write(normalized.numpy().astype(np.float16).tobytes())


def first(left_out: dict[str, str]) -> str:
    """The first utterance left out, as an example."""
    return next((f"{name}: {reason}" for name, reason in left_out.items()), "the manifest has none")


def _each(utterances: list[Utterance], aligner: str, rate: int) -> Iterator[Result | LeftOut]:
    needed = any(utterance.phones is None and utterance.labels is None for utterance in utterances)
    worker = Worker(make_aligner(aligner) if needed else None, rate, headed(each.labels for each in utterances))
    if not (worker.aligner and worker.aligner.parallel and len(utterances) >= PARALLEL_FROM and cores() > 1):
        yield from map(worker, utterances)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), context, _start, (aligner, rate, worker.headings)) as pool:
        yield from pool.map(_work, utterances, chunksize=32)


_worker: Worker


def _start(aligner: str, rate: int, headings: Collection[str]) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = Worker(make_aligner(aligner), rate, headings)


def _work(utterance: Utterance) -> Result | LeftOut:
    return _worker(utterance)


def majority(prepared: Prepared) -> dict[str, float]:
    """Accuracy in percent, for each split, of a model that always names the most frequent state of the training set."""
    of_split = {split: labels_of(prepared, split) for split in SPLITS}
    most = np.bincount(of_split["train"]).argmax()
    return {split: 100 * float((labels == most).mean()) for split, labels in of_split.items()}


def labels_of(prepared: Prepared, split: str) -> np.ndarray:
    """All labels of a split."""
    return np.concatenate(list(_pieces(prepared, split)))


def _pieces(prepared: Prepared, split: str) -> Iterable[np.ndarray]:
    begin = 0
    for length, own in zip(prepared.lengths, prepared.splits, strict=True):
        if own == split:
            yield prepared.labels[begin : begin + length]
        begin += length
