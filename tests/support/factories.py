"""Tiny rows of every task, and records and references that no training made."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmark.analysis.references import Reference
from benchmark.analysis.results import RowResults, gather
from benchmark.store.diverged import DivergedRun, write_diverged
from benchmark.store.records import Record
from benchmark.tasks import captioning, language_modeling, speech, translation
from benchmark.tasks.base import Row
from support.corpora import RATE, draw_pictures, write_corpus, write_pairs, write_text

TINY = {"hidden_size": 8, "unroll": 4, "batch_size": 2, "epochs": 2, "flat_epochs": 1}
"""Overrides that make any language model row train in a moment."""


def tiny_flags(text_folder: Path) -> list[str]:
    """The overrides of TINY as command line options."""
    return [f"--source={text_folder}", *(f"--{name}={value}" for name, value in TINY.items())]


TINY_TRANSLATION = {
    "hidden_size": 16,
    "layers": 1,
    "batch_size": 8,
    "epochs": 2,
    "flat_epochs": 1,
    "init_range": 0.2,
    "max_length": 8,
    "source_words": 50,
    "target_words": 50,
    "beam": 2,
}
"""Overrides that make any translation row train in a moment."""

TASKS = ("language-modeling", "speech", "translation", "captioning")

# Sizes of batches are odd, so that shares differ, and in translation there are batches of a single pair.
TINY_SPEECH = {"hidden_size": 8, "batch_size": 3, "unroll": 40, "epochs": 2, "flat_epochs": 1, "sample_rate": RATE}
TINY_CAPTIONS = {
    "features": "descriptor", "min_count": 1, "hidden_size": 16, "batch_size": 15, "epochs": 9, "flat_epochs": 8,
    "beam": 2, "max_length": 8,
}  # fmt: skip


def tiny_rows(folder: Path) -> dict[str, Row]:
    text, pairs = write_text(folder / "text"), write_pairs(folder / "pairs")
    pictures, tones = draw_pictures(folder / "pictures", 40), write_corpus(folder / "tones", labels=True)
    made = (
        language_modeling.PTB_SMALL.variant("lm", source=str(text), **{**TINY, "batch_size": 5}),
        speech.ROWS[0].variant("frames", source=str(tones), **TINY_SPEECH),
        translation.ROWS[0].variant("pairs", source=str(pairs), **{**TINY_TRANSLATION, "batch_size": 5, "clip": 1.0}),
        captioning.OPENMOJI_PLAIN.variant("captions", source=str(pictures), **TINY_CAPTIONS),
    )
    return dict(zip(TASKS, made, strict=True))


def make_record(row: Row = language_modeling.PTB_SMALL, seed: int = 1, **changes) -> Record:
    record = Record(
        row=row.name,
        task=row.config.task,
        seed=seed,
        configuration=asdict(row.config),
        fingerprint=row.config.fingerprint(),
        protocol=1,
        data_sha256="d" * 64,
        metrics={"validation_perplexity": 120.0 + seed, "test_perplexity": 114.0 + seed},
        curve=[{"epoch": 1, "train_perplexity": 50.0, "validation_perplexity": 130.0 + seed}],
        parameters=10,
        throughput=1000.0,
        unit="tokens",
        wall_seconds=3600.0,
        device="CPU",
        versions={},
        commit="c" * 40,
        finished="2026-01-01T00:00:00+00:00",
        command="rnnreg run",
        log_probabilities_sha256="",
    )
    return replace(record, **changes)


def diverge(store: Path, record: Record) -> None:
    """Keep in a store that the run of this record diverged, in place of the record."""
    names = ("row", "seed", "fingerprint", "data_sha256", "commit", "finished", "precision")
    write_diverged(DivergedRun(**{name: getattr(record, name) for name in names}, epoch=2), store)


def reference(record: Record, row: Row) -> Reference:
    return Reference.from_record(record, row)


def results_of_two_rows(
    rows: tuple[Row, Row], without: Sequence[float], regularized: Sequence[float]
) -> list[RowResults]:
    """Two rows with runs of these test perplexities, with seeds from 1 on."""
    records = [
        make_record(row, seed, metrics={"test_perplexity": value})
        for row, values in zip(rows, (without, regularized), strict=True)
        for seed, value in enumerate(values, 1)
    ]
    return gather(rows, records)
