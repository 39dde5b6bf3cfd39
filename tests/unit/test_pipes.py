"""A pipe in the place of a file is refused at once: to open it would be to wait for somebody to write to it."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.analysis import references, steadiness
from benchmark.audit.entries import parse
from benchmark.audit.sides import read_curve
from benchmark.store import speeds
from benchmark.store.checkpoints import newest_checkpoint
from benchmark.store.locks import RunLock
from benchmark.store.records import Store
from benchmark.tasks import registry
from datamodules.captioning.features import read_feature_file
from datamodules.errors import UserError
from datamodules.speech.features import LeftOut, read_audio
from datamodules.speech.published import LibriSpeechCorpus
from datamodules.speech.recorded import FolderCorpus
from datamodules.text import read_text
from models.loading import read

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "record": ("a/seed-1-0/record.json", lambda folder: list(Store(folder).records())),
    "checkpoint": ("a/last.ckpt", lambda folder: newest_checkpoint(folder / "a", [])),
    "exported model": ("config.json", read),
    "somebody's record": ("record.json", lambda folder: parse(folder / "record.json")),
    "speeds": ("speed.json", lambda folder: speeds.read(folder / "speed.json")),
    "baseline": ("baseline.json", lambda folder: references.read(folder / "baseline.json")),
    "baseline of speeds": ("speed.json", lambda folder: steadiness.read_speed(folder / "speed.json")),
    "published curve": ("log.csv", lambda folder: read_curve(folder / "log.csv")),
    "rows": ("rows.py", lambda folder: registry.load(folder / "rows.py")),
    "text": ("text", lambda folder: read_text(folder / "text")),
    "vectors": ("vectors.npz", lambda folder: read_feature_file(folder / "vectors.npz")),
    "audio": ("audio.flac", lambda folder: read_audio(folder / "audio.flac")),
    "list of recordings": ("transcripts.tsv", lambda folder: FolderCorpus(folder).utterances),
    "transcripts of LibriSpeech": (
        "librispeech/LibriSpeech/train-clean-100/1/2/1-2.trans.txt",
        lambda folder: LibriSpeechCorpus(folder).utterances,
    ),
}


@pytest.fixture
def impatient() -> Iterator[None]:
    def waits(number: int, frame: object) -> None:
        pytest.fail("it waits for the pipe")

    before = signal.signal(signal.SIGALRM, waits)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_refused_at_once(kind: str, impatient: None, tmp_path: Path) -> None:
    name, reads = READERS[kind]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises((UserError, LeftOut)) as refused:
        reads(tmp_path)
    assert "\n" not in str(refused.value)


def test_the_progress_of_a_run_is_not_waited_for(impatient: None, tmp_path: Path) -> None:
    lock = RunLock(tmp_path, "row", 1, "0")
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(lock.path.with_suffix(".json"))
    assert lock.progress == (0, 0)
