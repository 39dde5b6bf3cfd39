"""Captions of a test set by every row of its source, and pictures that one row captions best, middling and worst."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sacrebleu.metrics.chrf import CHRF

from benchmark.analysis.ensembles import members_of
from benchmark.analysis.names import model_name
from benchmark.analysis.results import gather
from benchmark.store.records import CHECKPOINT, Record, Store
from benchmark.tasks.base import Row
from benchmark.tasks.captioning import CaptionConfig
from benchmark.tasks.models import load_members
from datamodules.captioning.datamodule import CaptionData
from datamodules.captioning.examples import Example
from datamodules.errors import UserError
from models.captioner import Captioner, caption


@dataclass(frozen=True)
class Gallery:
    """Test pictures with their captions."""

    source: str
    """Name of the data set."""
    row: str
    """Name of the row whose captions choose the pictures."""
    examples: tuple[Example, ...]
    """Every test picture."""
    captions: dict[str, list[str]]
    """Name of a row to its captions of all test pictures."""
    labels: dict[str, str]
    """Name of a row to the name of its model as it is shown, which no other row has."""
    best: list[int]
    """Positions of the pictures that the model captions best, the best first."""
    median: list[int]
    """Positions of those in the middle of that order."""
    worst: list[int]
    """Positions of the pictures that it captions worst, the worst first."""


def caption_test_set(row: Row, every: Sequence[Row], store: Path, data: Path, count: int) -> Gallery:
    """Caption the test pictures of a row's source with every row of its size on that source.

    Args:
        row: the row whose captions choose the pictures.
        every: all rows.
        store: folder of the trained runs; a single model is that of the lowest seed.
        data: folder of the data.
        count: pictures of each kind.

    Raises:
        UserError: the row is not one of captions, or a row has not been trained.
        DataError: the data is missing.
    """
    if not isinstance(row.config, CaptionConfig):
        raise UserError(f"{row.name} is not a row of captions")
    datamodule = row.config.datamodule(data)
    datamodule.prepare_data()
    datamodule.setup("test")
    table = gather(every, Store(store).with_checkpoints(), here=lambda _: datamodule.sha256)
    captions: dict[str, list[str]] = {}
    models: dict[str, str] = {}
    compared = row.config.task, row.config.data_set_name, row.size
    for other in every:
        if (other.config.task, other.config.data_set_name, other.size) == compared:
            members = members_of(other, table)
            captions[other.name] = _captions(other, members, store, datamodule)
            models[other.name] = f"ensemble of {len(members)}" if other.ensemble_of else model_name(other)
    examples = datamodule.examples["test"]
    picked = chosen(examples, captions[row.name], count)
    return Gallery(row.config.source, row.name, examples, captions, labels(models), *picked)


def labels(models: Mapping[str, str]) -> dict[str, str]:
    """The name of each row's model and, if another row's is the same, the name of the row; by the name of the row."""
    counts = Counter(models.values())
    return {row: model if counts[model] == 1 else f"{model} ({row})" for row, model in models.items()}


def _captions(row: Row, members: Sequence[Record], store: Path, datamodule: CaptionData) -> list[str]:
    """The captions of one row; an ensemble takes as many members as have been trained."""
    if not members:
        name = row.ensemble_of or row.name
        raise UserError(f"{store} has no trained {name}; `rnnreg reproduce --only {name}` trains it")
    paths = [store / record.run / CHECKPOINT for record in members]
    models = cast("list[Captioner]", load_members(row, paths, datamodule))
    captions = []
    for batch in datamodule.pictures("test"):
        captions += caption([model.of_fold(batch.fold) for model in models], batch.features)
    return captions


def chosen(examples: Sequence[Example], captions: Sequence[str], count: int) -> tuple[list[int], list[int], list[int]]:
    """Positions of the pictures with the best, the middling and the worst captions, by chrF against their references.

    Ties are broken by a hash of the picture's name. Of pictures of one drawing only the first is taken.
    """
    chrf = CHRF()
    scores = [
        chrf.sentence_score(text, list(example.captions)).score
        for text, example in zip(captions, examples, strict=True)
    ]
    by_hash = sorted(
        range(len(examples)), key=lambda index: hashlib.sha256(examples[index].picture.id.encode()).digest()
    )
    best = _distinct(sorted(by_hash, key=lambda index: -scores[index]), examples)
    worst = _distinct(sorted(by_hash, key=lambda index: scores[index]), examples)
    middle = max(0, len(best) - count) // 2
    return best[:count], best[middle : middle + count], worst[:count]


def _distinct(order: Sequence[int], examples: Sequence[Example]) -> list[int]:
    """The first position of each group of pictures."""
    first: dict[str, int] = {}
    for index in order:
        first.setdefault(examples[index].group, index)
    return list(first.values())
