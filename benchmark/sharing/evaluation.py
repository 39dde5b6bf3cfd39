"""The final evaluation of a trained model once more, on the data of its run, and that of ensembles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning import Trainer

from benchmark.analysis.ensembles import members_of, perplexities
from benchmark.analysis.results import gather
from benchmark.sharing.trained import Trained
from benchmark.store.records import Record, Store
from benchmark.tasks import registry
from benchmark.tasks.base import Config, Row
from benchmark.training.options import Options
from benchmark.training.train import configure, log_probabilities
from datamodules.base import TaskData
from datamodules.errors import UserError
from models.base import TaskModel
from models.loaded import Loaded, load

Accelerator = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of an evaluation."""

    metrics: dict[str, float]
    """Figures by name."""
    items: Sequence[tuple[str, ...]] = ()
    """A line for each item of the data, such as a sentence, after a line of headings; empty where there are none."""
    remarks: Sequence[str] = ()
    """What a reader must know of the figures, in sentences."""

    def __post_init__(self) -> None:
        if wrong := [name for name, value in self.metrics.items() if not math.isfinite(value)]:
            raise UserError(f"{wrong[0]} is no finite number; the settings of the evaluation are out of any use")


def finished_record(trained: Trained) -> Record:
    """The record of a trained model.

    Raises:
        UserError: the run has not finished.
    """
    if trained.record is None:
        raise UserError(f"{trained.name} has no record, as the run has not finished; `rnnreg run` resumes it")
    return trained.record


def own_data(record: Record, data: Path) -> TaskData:
    """The data of a run, set up for the final evaluation.

    Raises:
        UserError: it is missing, or not the data that the run was trained on.
    """
    found = registry.configuration_of(record).datamodule(data)
    found.prepare_data()
    found.setup("test")
    if found.sha256 != record.data_sha256:
        raise UserError(
            f"{record.row} seed {record.seed} was trained on other data than {record.configuration['source']} is now "
            f"(checksum {record.data_sha256[:12]}, found {found.sha256[:12]}); `--source` or `--text` evaluates it on "
            "data that is not its own"
        )
    return found


def final_evaluation(model: TaskModel, data: TaskData, accelerator: Accelerator = "auto") -> dict[str, float]:
    """All final metrics, by the same loop as at the end of a run; the model keeps its log-probabilities and details.

    Args:
        model: the model, which is on the CPU afterward.
        data: the data, set up.
        accelerator: as of a run; auto takes a GPU if there is one.
    """
    configure(Options(accelerator=accelerator))
    trainer = Trainer(
        accelerator=accelerator,
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.test(model, datamodule=data, verbose=False)
    model.cpu().eval()
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def evaluate_run(loaded: Loaded, record: Record, data: Path, accelerator: Accelerator = "auto") -> Outcome:
    """The final evaluation of one model on the data of its run."""
    metrics = final_evaluation(loaded.model, own_data(record, data), accelerator)
    remarks = [comparison(metrics, record)]
    if record.configuration.get("validation_only"):
        remarks.append(
            "the run was kept from its test set (--validation_only), and this has read it; a choice among such runs by "
            "their test figures is no longer one on the validation set"
        )
    return Outcome(metrics, remarks=remarks)


def comparison(metrics: dict[str, float], record: Record) -> str:
    """A sentence that says how far metrics are from those of the record."""
    differences = {name: metrics[name] - value for name, value in record.metrics.items() if name in metrics}
    missing = sorted(record.metrics.keys() - metrics.keys())
    lacking = f"; not measured: {', '.join(missing)}" if missing else ""
    if not any(differences.values()):
        return f"{len(differences)} of {len(record.metrics)} figures are the record's to the last bit{lacking}"
    name = max(differences, key=lambda name: abs(differences[name]))
    return f"largest difference from the record: {differences[name]:+.2g} ({name}){lacking}"


def members(row: Row, every: Sequence[Row], store: Store) -> tuple[Record, ...]:
    """The runs that an ensemble averages, of those whose checkpoints are there.

    Raises:
        UserError: there are fewer than two.
    """
    found = members_of(row, gather(every, store.with_checkpoints()))
    if len(found) < 2:
        raise UserError(
            f"{store.root} has {len(found)} trained runs of {row.ensemble_of}, and {row.name} averages {row.members}; "
            f"`rnnreg reproduce --only {row.name}` trains them"
        )
    return found


def evaluate_ensemble(
    row: Row, chosen: Sequence[Record], store: Store, data: Path, accelerator: Accelerator = "auto"
) -> Outcome:
    """The metrics of an ensemble on the data of its members, computed as those of its record are."""
    datamodule = own_data(chosen[0], data)
    models: list[TaskModel] = []
    kept: list[Any] = []
    for one in chosen:
        model = load(store.root / one.run).model
        final_evaluation(model, datamodule, accelerator)
        models.append(model)
        kept.append(log_probabilities(model))
    measures_more = type(row.config).evaluate_ensemble is not Config.evaluate_ensemble
    more = row.config.evaluate_ensemble(models, datamodule).metrics if measures_more else {}
    seeds = ", ".join(str(one.seed) for one in chosen)
    return Outcome(
        {**perplexities(kept, row.name), **more}, remarks=[f"{len(chosen)} of {row.members} members: seeds {seeds}"]
    )
