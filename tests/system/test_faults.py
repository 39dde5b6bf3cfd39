"""Planted faults: each is seen by `rnnreg check`, or by the unit test that is there for what no metric shows."""

import random
from collections.abc import Callable

import pytest
import test_backbone
import test_language_model
from support.factories import reference

from benchmark.analysis.references import Expected
from benchmark.analysis.regression import Report, compare_all
from benchmark.analysis.results import gather
from benchmark.reports.check import markdown
from benchmark.store.records import Record
from benchmark.tasks import language_modeling
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from benchmark.training.train import train
from models.backbone import RegularizedLSTM
from models.base import TaskModel
from models.language_model import LanguageModel
from models.metrics import TokenPerplexity

LEVEL = 0.99


@pytest.fixture(scope="module")
def row(tmp_path_factory) -> Row:
    """A row that trains in about a second on a text whose lines end as they began: to predict that needs memory."""
    folder = tmp_path_factory.mktemp("text")
    generator = random.Random(0)
    for name, count in (("train", 400), ("valid", 80), ("test", 80)):
        starts = [generator.choice("abcd") for _ in range(count)]
        (folder / f"{name}.txt").write_text("".join(f"{start} is {start.upper()}\n" for start in starts))
    return language_modeling.PTB_SMALL.variant(
        "tiny",
        source=str(folder),
        hidden_size=32,
        layers=1,
        dropout=0.5,
        unroll=5,  # windows that cut lines of four words at every place
        batch_size=4,
        init_range=0.3,
        epochs=4,
        flat_epochs=2,
        lr=0.5,
    )


@pytest.fixture(scope="module")
def runs(row, tmp_path_factory) -> Callable[..., list[Record]]:
    """Trains the row with some seeds, into a store of its own."""

    def call(*seeds: int) -> list[Record]:
        options = Options(store=tmp_path_factory.mktemp("runs"), accelerator="cpu", threads=1, wandb="off")
        return [train(row, seed, options, progress=lambda epoch, epochs: None) for seed in seeds]

    return call


@pytest.fixture(scope="module")
def expected(row, runs) -> dict[str, Expected]:
    """Ten reference runs."""
    references = tuple(reference(record, row) for record in runs(*range(1, 11)))
    return {row.name: Expected(references, ({"reason": "first", "commit": "c", "when": "now"},))}


def check(row: Row, records: list[Record], expected: dict[str, Expected]) -> Report:
    return compare_all(gather([row], records), expected, LEVEL)


def mean_over_time(patch: pytest.MonkeyPatch) -> None:
    """A wrong gradient scale: the loss averaged over the unroll instead of summed."""
    step = LanguageModel.training_step
    patch.setattr(LanguageModel, "training_step", lambda self, batch, index: step(self, batch, index) / len(batch[0]))


def dropout_on_the_recurrent_path(patch: pytest.MonkeyPatch) -> None:
    init = RegularizedLSTM.__init__

    def faulty(self, input_size, hidden_size, layers=2, dropout=0.0, recurrent_dropout=0.0, cell="lstm") -> None:
        init(self, input_size, hidden_size, layers, dropout, dropout, cell)

    patch.setattr(RegularizedLSTM, "__init__", faulty)


def dropout_left_on_in_evaluation(patch: pytest.MonkeyPatch) -> None:
    for hook in ("on_validation_epoch_start", "on_test_epoch_start"):
        begin = getattr(LanguageModel, hook)

        def faulty(self, begin=begin) -> None:
            begin(self)
            self.train()

        patch.setattr(LanguageModel, hook, faulty)


def state_not_carried(patch: pytest.MonkeyPatch) -> None:
    inner = LanguageModel._log_probabilities

    def faulty(self, batch):
        self.state = None
        return inner(self, batch)

    patch.setattr(LanguageModel, "_log_probabilities", faulty)


def a_shifted_target(patch: pytest.MonkeyPatch) -> None:
    """The word itself instead of the next one."""
    inner = LanguageModel._log_probabilities
    patch.setattr(LanguageModel, "_log_probabilities", lambda self, batch: inner(self, (batch[0], batch[0])))


def an_off_by_one_in_the_schedule(patch: pytest.MonkeyPatch) -> None:
    init = TaskModel.__init__
    patch.setattr(TaskModel, "__init__", lambda self, lr, flat, decay: init(self, lr, flat + 1, decay))


def a_metric_averaged_per_batch(patch: pytest.MonkeyPatch) -> None:
    """The mean of each batch counts once, however many tokens it has."""
    update = TokenPerplexity.update
    patch.setattr(TokenPerplexity, "update", lambda self, values, counted=None: update(self, values.mean()[None]))


def unit_test(test: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: test(*arguments)


FAULTS = [
    (mean_over_time, None),
    (
        dropout_on_the_recurrent_path,
        unit_test(test_backbone.test_dropout_is_passed_layers_plus_one_times_at_any_distance, 2),
    ),
    (dropout_left_on_in_evaluation, None),
    (state_not_carried, None),
    (a_shifted_target, None),
    (
        an_off_by_one_in_the_schedule,
        unit_test(test_language_model.test_schedule_of_the_authors_code, "ptb-small", 5, 2),
    ),
    (a_metric_averaged_per_batch, unit_test(test_language_model.test_perplexity_agrees_with_torchmetrics)),
]
"""Each fault, and what sees it where it is too small for the metrics of so short a run."""


@pytest.mark.parametrize(("plant", "instead"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_each_planted_fault_is_seen(plant, instead, row, runs, expected, monkeypatch) -> None:
    if instead:
        instead()  # passes without the fault
    plant(monkeypatch)
    if instead:
        with pytest.raises((AssertionError, TypeError)):
            instead()
    else:
        report = check(row, runs(1, 2), expected)
        assert report.code == 1, markdown(report)


def test_ten_fault_free_runs_with_new_seeds_pass(row, runs, expected) -> None:
    records = runs(*range(101, 111))
    assert check(row, records, expected).code == 0
    for pair in zip(records[::2], records[1::2], strict=True):  # as a check makes them, two at a time
        report = check(row, list(pair), expected)
        assert report.code == 0, markdown(report)


def test_the_same_code_gives_the_same_bits(row, runs, expected) -> None:
    report = check(row, runs(1, 2), expected)
    assert report.bits == {row.name: "2 of 2 runs match their reference bit for bit"}
