"""A published log as a side: how it is read, and at which epoch it is compared."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from support.factories import make_record

from benchmark.audit.compare import Comparison, compare
from benchmark.audit.entries import Entry
from benchmark.audit.history import History
from benchmark.audit.sides import Side, read_curve, resolve
from benchmark.reports.comparison import as_text
from benchmark.store.records import Record
from benchmark.store.sealed import write_sealed
from datamodules.errors import UserError

PERPLEXITIES = (200.0, 150.0, 120.0, 100.0)
HISTORY = History()


def log(path: Path, epochs: list[float], column: str = "perplexity", factor: float = 1.0) -> Path:
    values = zip(epochs, [factor * value for value in PERPLEXITIES + PERPLEXITIES[-1:] * 4], strict=False)
    path.write_text(f"epoch,{column}\n" + "".join(f"{epoch:g},{value}\n" for epoch, value in values))
    return path


def against(path: Path) -> Comparison:
    """A run of four epochs, held against a log."""
    curve = [{"epoch": epoch, "validation_perplexity": value} for epoch, value in enumerate(PERPLEXITIES, 1)]
    record = make_record(curve=curve, metrics={"validation_perplexity": 100.0, "test_perplexity": 95.0})
    own = Side("own", (Entry(Path("none"), record.run, record),))
    return compare(own, resolve(str(path), path.parent, HISTORY)[""], [], HISTORY)


def test_a_log_that_ends_before_a_is_compared_at_the_last_epoch_of_both(tmp_path: Path) -> None:
    found = against(log(tmp_path / "short.csv", [1, 2]))
    (metric,) = found.evidence.metrics
    assert (metric.name, metric.a, metric.b) == ("validation_perplexity", 150.0, 150.0)
    assert found.verdict.startswith("The difference of A and B cannot be told from that of seeds: such runs find")
    assert "Metrics are compared after epoch 2, the last that both have." in as_text(found)
    longer = against(log(tmp_path / "long.csv", [1, 2, 3, 4, 5, 6]))
    assert longer.notes == ["Metrics are compared after epoch 4, the last that both have."]
    assert [(metric.a, metric.b) for metric in longer.evidence.metrics] == [(100.0, 100.0)]


def test_a_log_of_the_same_epochs_is_compared_with_the_final_metrics_and_needs_no_note(tmp_path: Path) -> None:
    found = against(log(tmp_path / "log.CSV", [1, 2, 3, 4], column="test_perplexity"))
    assert [(metric.a, metric.b) for metric in found.evidence.metrics] == [(95.0, 100.0)]
    assert found.notes == []


def test_a_log_counted_from_0_is_counted_from_1_and_says_so(tmp_path: Path) -> None:
    found = against(log(tmp_path / "log.csv", [0, 1, 2, 3]))
    assert found.evidence.epochs == [1, 2, 3, 4]
    assert all(ratio == 0 for ratio in found.evidence.ratios("validation_perplexity").values())
    assert "counts its epochs from 0, here from 1; leave out a line of epoch 0 that was" in as_text(found)


def test_columns_that_are_not_compared_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,perplexity,val_ppl,lr\n1,200,3,1\n2,150,3,1\n3,120,3,1\n4,100,3,1\n")
    assert against(path).notes == ["Not compared: val_ppl of B."]


@pytest.mark.parametrize(
    ("epochs", "column", "message"),
    [
        ([101, 102], "perplexity", r"log.csv has epochs 101 to 102, A has 1 to 4: none is in both; count the epochs"),
        ([1, 2], "val_ppl", "its columns are epoch, val_ppl; columns that can be compared are perplexity, validation_"),
        ([1, 2], "test_perplexity", r"has no metric that A has after epoch 2: its columns are epoch, test_perplexity"),
        ([0.5, 1.5], "perplexity", r"line 2: epoch 0.5 is no whole number; epochs are counted 1, 2, 3"),
        ([-1, 0], "perplexity", r"line 2: epoch -1 is no whole number"),
    ],
)
def test_a_log_that_cannot_be_compared_is_refused(tmp_path: Path, epochs: list[float], column: str, message: str):
    with pytest.raises(UserError, match=message):
        against(log(tmp_path / "log.csv", epochs, column))


def test_a_log_is_read_in_the_encodings_of_other_texts(tmp_path: Path) -> None:
    text = 'epoch,"Perplexity"\n\n1,200\n2,150\n'
    path = tmp_path / "log.csv"
    right = [{"epoch": 1, "validation_perplexity": 200}, {"epoch": 2, "validation_perplexity": 150}]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert read_curve(path) == right
    path.write_bytes(b"epoch,perplexity\n1,200\xff\n")
    with pytest.raises(UserError, match=r"line 2: not UTF-8 .*; save it as UTF-8"):
        read_curve(path)
    path.write_text("epoch,perplexity,lr\n\n1,200,-1\n")
    with pytest.raises(UserError, match="line 3: lr is -1; the learning rate is at least 0"):
        read_curve(path)


@pytest.mark.parametrize(
    ("column", "factor", "message"),
    [
        ("validation_frame_accuracy", 3.46, "is 692; the accuracy in percent is at most 100"),
        ("test_bleu", 1.0, "is 200; the BLEU is at most 100"),
        ("validation_frame_accuracy", 0.004, "is never above 1; accuracies are in percent, so multiply them by 100"),
        ("perplexity", 0.001, "is 0.2; the perplexity is at least 1"),
    ],
)
def test_figures_that_cannot_be_are_refused(tmp_path: Path, column: str, factor: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_curve(log(tmp_path / "log.csv", [1, 2, 3, 4], column, factor))


def store_of(folder: Path, *records: Record) -> Path:
    for number, record in enumerate(records):
        place = folder / record.row / f"copy-{number}"
        place.mkdir(parents=True)
        write_sealed(asdict(record), place / "record.json")
    return folder


def test_a_side_has_one_run_of_a_seed_and_runs_of_one_configuration_and_data(tmp_path: Path) -> None:
    runs = [make_record(seed=seed, finished=f"2026-01-0{seed}T00:00:00+00:00") for seed in (1, 2, 3)]
    others = [replace(runs[0], data_sha256="e" * 64), replace(runs[1], fingerprint="f" * 64)]
    (side,) = resolve(str(store_of(tmp_path / "s", *runs, runs[0], *others)), tmp_path, HISTORY).values()
    assert [record.seed for record in side.records] == [1, 2, 3]
    assert [note.partition(": ")[2] for note in side.notes] == [
        "1 run of another configuration or protocol left out.",
        "1 run of other data left out.",
        "1 run of a seed that has a newer one left out.",
    ]


def test_a_run_that_is_collected_too_is_one_reference(tmp_path: Path) -> None:
    runs = [make_record(seed=seed, log_probabilities_sha256=str(seed)) for seed in range(1, 11)]
    own = Side("own", (Entry(Path("none"), runs[0].run, runs[0]),))
    other = Side("other", (Entry(Path("none"), runs[1].run, runs[1]),))
    once, twice = (compare(own, other, [], HISTORY, references) for references in (runs, [*runs, *runs]))
    assert once.evidence.metrics == twice.evidence.metrics


def test_an_ensemble_tells_nothing_of_the_spread_over_seeds() -> None:
    """It has the configuration and the data of its members."""
    runs = [make_record(seed=seed, metrics={"test_perplexity": 120.0 + seed}) for seed in (1, 2, 3, 4)]
    ensemble = make_record(seed=0, metrics={"test_perplexity": 90.0}, details={"members": [1, 2, 3, 4]})
    own, other = (Side(str(place), (Entry(Path("none"), run.run, run),)) for place, run in enumerate(runs[:2]))
    alone, beside = (compare(own, other, [], HISTORY, references) for references in (runs, [*runs, ensemble]))
    assert alone.evidence.metrics == beside.evidence.metrics


def test_learning_rates_of_a_log_may_be_rounded(tmp_path: Path) -> None:
    rates = [1.0, 1.0, 1 / 1.2, 1 / 1.2**2]
    curve = [
        {"epoch": epoch, "lr": rate, "validation_perplexity": value}
        for epoch, (rate, value) in enumerate(zip(rates, PERPLEXITIES, strict=True), 1)
    ]
    record = make_record(curve=curve, metrics={"validation_perplexity": 100.0})
    own = Side("own", (Entry(Path("none"), record.run, record),))

    def causes(factor: float) -> list[str]:
        lines = [f"{point['epoch']},{factor * point['lr']:.3f},{point['validation_perplexity']}" for point in curve]
        (tmp_path / "log.csv").write_text("epoch,lr,perplexity\n" + "\n".join(lines))
        other = resolve(str(tmp_path / "log.csv"), tmp_path, HISTORY)[""]
        return [cause.name for cause in compare(own, other, [], HISTORY).causes]

    assert not {"schedule", "learning rate"} & set(causes(1.0))
    assert "learning rate" in causes(5.0)
    assert "schedule" not in causes(5.0)
