"""The command that evaluates a trained model: on its own data, on a user's, or by another method."""

import csv
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse.typing import NonNegativeInt

from benchmark.commands.arguments import RowName
from benchmark.commands.outputs import refuse_lost
from benchmark.files import asked_for
from benchmark.formatting import print_columns, print_left_out
from benchmark.sharing.options import Inputs, Settings
from benchmark.tasks import registry
from benchmark.tasks.base import Row
from benchmark.training.options import DATA, STORE
from datamodules.errors import UserError

if TYPE_CHECKING:
    from benchmark.sharing.evaluation import Accelerator, Outcome
    from benchmark.sharing.trained import Trained


def evaluate(
    model: RowName,
    seed: NonNegativeInt | None = None,
    all_seeds: bool = False,
    inputs: Inputs = Inputs(),  # noqa: B008  frozen
    running: bool = False,
    method: Literal["plain", "mc-dropout", "temperature", "neural-cache", "dynamic"] = "plain",
    settings: Settings = Settings(),  # noqa: B008  frozen
    keep: bool = False,
    output: Path | None = None,
    store: Path = STORE,
    data: Path = DATA,
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    rows_file: Path | None = None,
) -> int:
    """Evaluate a trained model: on the data of its run as its record was made, or on a text or data set of your own.

    Args:
        model: Name of a trained row, of a variant of it or of an ensemble, or folder of a run or of an exported model.
        seed: Seed of the run; the run with the best validation metric if not given.
        all_seeds: Evaluate all runs of the row, and print mean and standard deviation.
        inputs: Data that is not the model's own.
        running: Read --text as running text, which is split into sentences of lower-case words without punctuation.
        method: Way to evaluate a language model: plain as in the paper, mc-dropout, temperature, neural-cache or
            dynamic.
        settings: Settings of the method.
        keep: Keep the outcome of a method in the store, for the table of evaluations.
        output: File (.tsv) to which a line is written for each line of the text, sentence, picture or utterance.
        store: Folder that holds the runs.
        data: Folder that holds the data, one folder per source.
        accelerator: Device kind for the data of the run, as of `rnnreg run`: auto takes a GPU if there is one.
        rows_file: Python file with rows of your own.
    """
    _check(inputs, running, method, settings, keep, output)
    _check_choice(seed, all_seeds, output)
    if accelerator == "gpu" and not (inputs.is_own and method == "plain"):
        raise UserError("--accelerator gpu goes with the data of the run and the plain method; all else takes the CPU")
    rows = {row.name: row for row in registry.load(rows_file)}
    if model in rows and rows[model].ensemble_of:
        _check_choice(seed, all_seeds, output, ensemble=model)
        return _ensemble(model, rows, inputs, method, store, data, accelerator)
    chosen = _chosen(model, seed, all_seeds, store, rows.values())
    found: list[Mapping[str, float]] = []
    for trained in chosen:
        print(trained.name)
        evaluation = _one(
            trained, inputs, running, method, settings, keep, store, data, accelerator, rows_file is not None
        )
        compared = trained.record.metrics if trained.record and inputs.is_own else {}
        _show(evaluation, compared)
        found.append(evaluation.metrics)
        if output:
            _write_items(evaluation, output)
    if len(found) > 1:
        _show_means(found)
    return 0


def _check(inputs: Inputs, running: bool, method: str, settings: Settings, keep: bool, output: Path | None) -> None:
    """Refuse options that do not go together.

    Raises:
        UserError: see the messages.
    """
    if inputs.text and inputs.source:
        raise UserError("--text and --source: give one of them")
    if (inputs.reference or running) and not inputs.text:
        raise UserError(f"{'--reference' if inputs.reference else '--running'} goes with --text")
    if inputs.features and not inputs.source:
        raise UserError("--features goes with --source")
    if output and not (inputs.text or inputs.source):
        raise UserError("--output goes with --text or --source; a run keeps the log-probabilities of its own data")
    refuse_lost("--output", output, (inputs.text, inputs.reference, inputs.features, inputs.source))
    if settings.given and method == "plain":
        raise UserError(f"--{next(iter(settings.given))} is a setting of a --method, and plain has none")
    if keep and (method == "plain" or not inputs.is_own):
        raise UserError("--keep is for a --method on the data of the run; what is plain is in the run's record")


def _check_choice(seed: int | None, all_seeds: bool, output: Path | None, ensemble: str = "") -> None:
    """Refuse options that choose among the runs of a row where they do not go together, or the row is an ensemble.

    Raises:
        UserError: see the messages.
    """
    if all_seeds and seed is not None:
        raise UserError("--all_seeds and --seed: give one of them")
    if all_seeds and output:
        raise UserError("--output takes the items of one model; name it with --seed instead of --all_seeds")
    if ensemble and (all_seeds or seed is not None):
        raise UserError(f"{'--all_seeds' if all_seeds else '--seed'} chooses among runs; {ensemble} is an ensemble")


def _chosen(model: str, seed: int | None, all_seeds: bool, store: Path, rows: Iterable[Row]) -> list["Trained"]:
    """The models to evaluate; runs of the name that are left out are named on standard error."""
    from benchmark.sharing.trained import find_all_trained, find_trained

    left_out: list[str] = []
    chosen = find_all_trained(model, store, rows, left_out) if all_seeds else []
    if not chosen:
        chosen = [find_trained(model, seed, store, rows, left_out)]  # which says what there is
    print_left_out(left_out)
    return chosen


def _one(
    trained: "Trained",
    inputs: Inputs,
    running: bool,
    method: str,
    settings: Settings,
    keep: bool,
    store: Path,
    data: Path,
    accelerator: "Accelerator",
    may_import: bool,
) -> "Outcome":
    """One evaluation of one model."""
    from benchmark.sharing.evaluation import evaluate_run, finished_record
    from benchmark.sharing.inputs import evaluate_inputs
    from benchmark.sharing.methods import evaluate_by_method, language_model
    from benchmark.store.evaluations import write_evaluation
    from models.loaded import load

    loaded = load(trained.place, may_import=may_import)
    if not inputs.is_own:
        return evaluate_inputs(loaded, trained, inputs, running, method, settings.given, data)
    record = finished_record(trained)
    if method == "plain":
        return evaluate_run(loaded, record, data, accelerator)
    options = [f"--{name}={value}" for name, value in settings.given.items()]
    command = shlex.join(["rnnreg", "evaluate", record.row, f"--seed={record.seed}", f"--method={method}", *options])
    text_model = language_model(loaded, f"--method {method}")
    evaluation, kept = evaluate_by_method(text_model, record, method, settings.given, data, command)
    if keep:
        print(f"kept: {write_evaluation(kept, store)}")
    return evaluation


def _ensemble(
    model: str,
    rows: Mapping[str, Row],
    inputs: Inputs,
    method: str,
    store: Path,
    data: Path,
    accelerator: "Accelerator",
) -> int:
    """Evaluate an ensemble on the data of its members."""
    from benchmark.analysis.ensembles import SEED as ENSEMBLE_SEED
    from benchmark.sharing.evaluation import evaluate_ensemble, members
    from benchmark.store.records import Store, run_name

    if not inputs.is_own or method != "plain":
        raise UserError(f"{model} is an ensemble, which is evaluated on the data of its runs, by the plain method")
    row = rows[model]
    runs = Store(store)
    chosen = members(row, list(rows.values()), runs)
    evaluation = evaluate_ensemble(row, chosen, runs, data, accelerator)
    made = runs.find(run_name(row.name, ENSEMBLE_SEED, chosen[0].fingerprint, chosen[0].data_sha256))
    is_of_these = made is not None and list(made.members) == [one.seed for one in chosen]
    print(model)
    _show(evaluation, made.metrics if made and is_of_these else {})
    return 0


def _show(evaluation: "Outcome", record: Mapping[str, float]) -> None:
    """Print figures, beside those of the record where there are such, and the remarks on standard error."""
    head = ("metric", "value", *(("record", "difference") if record else ()))
    lines = [head]
    for name, value in evaluation.metrics.items():
        beside = (f"{record[name]:.4f}", f"{value - record[name]:+.2g}") if name in record else ("", "")
        whole = value.is_integer()
        shown = f"{value:,.0f}" if whole and not record else f"{value:.4f}"
        lines.append((name, shown, *(beside if record else ())))
    print_columns(lines)
    for remark in evaluation.remarks:
        print(f"rnnreg: {remark}", file=sys.stderr)


def _show_means(found: Sequence[Mapping[str, float]]) -> None:
    """Print mean and standard deviation of each figure over several models."""
    import statistics

    lines = [("metric", f"mean of {len(found)}", "sd")]
    for name in found[0]:
        values = [metrics[name] for metrics in found]
        lines.append((name, f"{statistics.fmean(values):.4f}", f"{statistics.stdev(values):.4f}"))
    print()
    print_columns(lines)


def _write_items(evaluation: "Outcome", path: Path) -> None:
    with asked_for(path) as scratch, scratch.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(evaluation.items)
    print(f"written: {path}, {len(evaluation.items) - 1} lines")
