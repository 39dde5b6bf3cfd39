"""The figure of captions: test pictures, and what people and each row's model say of them, good ones and bad ones."""

import hashlib
from pathlib import Path

from jsonargparse.typing import PositiveInt
from sacrebleu.metrics.chrf import CHRF

from benchmark.analysis import ensembles
from benchmark.analysis.results import gather, model_name
from benchmark.reports.contact_sheets import Captioned, contact_sheet, save
from benchmark.store.records import CHECKPOINT, Store
from benchmark.tasks import registry
from benchmark.tasks.captioning import CaptionConfig
from datamodules.captioning.examples import Example
from datamodules.captioning.sources import OPENMOJI
from datamodules.errors import UserError
from models.captioner import Captioner, caption

CREDIT = {OPENMOJI.name: "Drawings: OpenMoji 17.0, openmoji.org, licence CC BY-SA 4.0."}
"""Of a source's pictures, written under the figure."""


def gallery(
    row: str = "openmoji-dropout",
    count: PositiveInt = 5,
    store: Path = Path("runs"),
    data: Path = Path("data"),
    output: Path = Path("captions.png"),
    rows_file: Path | None = None,
) -> int:
    """Draw test pictures with the captions that every row of their data set gives them.

    The pictures are those that the row's own captions fit best and worst: highest and lowest chrF against the
    references, ties by a hash of the picture's name, one picture of each drawing. A single model is that of the
    lowest seed.

    Args:
        row: the row whose captions tell good from bad.
        count: pictures of each kind.
        store: folder that holds the trained runs.
        data: folder that holds the data.
        output: picture file to write.
        rows_file: Python file with rows of your own.
    """
    every = registry.load(rows_file)
    judge = registry.find(row, every)
    if not isinstance(judge.config, CaptionConfig):
        raise UserError(f"{row} is not a row of captions")
    datamodule = judge.config.datamodule(data)
    datamodule.prepare_data()
    datamodule.setup("test")
    records = list(Store(store).records(skipped=[]))
    said: dict[str, list[str]] = {}
    for other in every:
        if other.config.task != judge.config.task or other.config.source != judge.config.source:
            continue
        (line,) = gather([registry.find(other.ensemble_of or other.name, every)], records)
        paths = [store / record.run / CHECKPOINT for record in line.records]
        paths = [path for path in paths if path.is_file()][: other.members]
        if not paths:
            raise UserError(
                f"{store} has no trained {line.row.name}; `rnnreg reproduce --only {line.row.name}` trains it"
            )
        models = [model for model in ensembles.load(other, paths, datamodule) if isinstance(model, Captioner)]
        name = f"average of {len(models)}" if other.ensemble_of else model_name(other)
        said[name] = [text for batch in datamodule.pictures("test") for text in caption(models, batch.features)]

    examples = datamodule.examples["test"]
    chrf = CHRF()
    scores = [
        chrf.sentence_score(text, list(example.captions)).score
        for text, example in zip(said[model_name(judge)], examples, strict=True)
    ]

    def panel(order: list[int]) -> list[Captioned]:
        return [
            Captioned(
                examples[index].picture.read(),
                [("reference", examples[index].captions[0]), *((name, texts[index]) for name, texts in said.items())],
            )
            for index in order
        ]

    by_hash = sorted(
        range(len(examples)), key=lambda index: hashlib.sha256(examples[index].picture.id.encode()).digest()
    )
    best, worst = (
        distinct(sorted(by_hash, key=lambda index: sign * scores[index]), examples, count) for sign in (-1, 1)
    )
    rule = (
        f"Of {len(examples)} test pictures, those whose {model_name(judge)} caption has the highest and the "
        "lowest chrF against its references, ties by a hash of the name, one of each drawing. Single models are of "
        "the lowest seed."
    )
    sheet = contact_sheet(
        {f"The {count} best": panel(best), f"The {count} worst": panel(worst)},
        f"{rule} {CREDIT.get(judge.config.source, '')}",
    )
    save(sheet, output)
    print(f"drawn: {output}")
    return 0


def distinct(order: list[int], examples: tuple[Example, ...], count: int) -> list[int]:
    """The first of an order that are of different groups."""
    first: dict[str, int] = {}
    for index in order:
        first.setdefault(examples[index].group, index)
    return list(first.values())[:count]
