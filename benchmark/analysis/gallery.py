"""Captions of a test set by every row of its source, and pictures that one row captions best, middling and worst."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sacrebleu.metrics.chrf import CHRF

from benchmark.analysis.ensembles import members_of
from benchmark.analysis.results import gather, model_name
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
    model: str
    """The model whose captions choose the pictures."""
    examples: tuple[Example, ...]
    """Every test picture."""
    captions: dict[str, list[str]]
    """Name of a model to its captions of all test pictures."""
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
    compared = row.config.task, row.config.data_set_name, row.size
    for other in every:
        if (other.config.task, other.config.data_set_name, other.size) == compared:
            captions |= _captions(other, members_of(other, table), store, datamodule)
    examples, model = datamodule.examples["test"], model_name(row)
    return Gallery(row.config.source, model, examples, captions, *chosen(examples, captions[model], count))


def _captions(row: Row, members: Sequence[Record], store: Path, datamodule: CaptionData) -> dict[str, list[str]]:
    """The captions of one row, by the name of its model; an ensemble takes as many members as have been trained."""
    if not members:
        name = row.ensemble_of or row.name
        raise UserError(f"{store} has no trained {name}; `rnnreg reproduce --only {name}` trains it")
    paths = [store / record.run / CHECKPOINT for record in members]
    models = cast("list[Captioner]", load_members(row, paths, datamodule))
    name = f"ensemble of {len(models)}" if row.ensemble_of else model_name(row)
    captions = []
    for batch in datamodule.pictures("test"):
        captions += caption([model.of_fold(batch.fold) for model in models], batch.features)
    return {name: captions}


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
