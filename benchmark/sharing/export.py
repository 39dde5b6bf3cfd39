"""Exported models: a folder with weights, configuration, vocabulary, record and model card, which anyone can load."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from benchmark.files import replacing
from benchmark.sharing.card import Card, card
from benchmark.sharing.evaluation import Accelerator, comparison, final_evaluation, finished_record, own_data
from benchmark.sharing.graphs import GRAPHS, export_graphs
from benchmark.sharing.trained import Trained
from benchmark.store.leftovers import idle, leftover
from benchmark.store.records import LOG_PROBABILITIES, Record
from datamodules.errors import UserError
from datamodules.scratch import IDLE_MINUTES, PREFIX
from datamodules.sealed import checksum_of
from datamodules.sources import sha256_of
from models.loaded import load
from models.loading import (
    CONFIG,
    FORMAT,
    RECORD,
    VOCABULARIES,
    WEIGHTS,
    WORDS,
    Saved,
    build,
    read,
    read_json,
    write_json,
)

CARD = "README.md"
SUITE = "rnnreg"
"""Begins the name of the suite and its version in the configuration of every export."""

TOLERANCE = 0.01
"""Largest difference of a figure from the record's, for weights in half precision."""


@dataclass(frozen=True)
class Exported:
    """The outcome of an export."""

    files: list[Path]
    remarks: list[str] = field(default_factory=list)
    """What was checked, in sentences."""


def export(
    trained: Trained,
    folder: Path,
    *,
    half: bool,
    onnx: bool,
    verify: bool,
    data: Path,
    records: Path,
    accelerator: Accelerator = "auto",
) -> Exported:
    """Write a model to a folder that holds all that is needed to use it.

    Args:
        trained: the model of a finished run, or an exported one.
        folder: folder to write to; new, empty, or of an earlier export.
        half: keep the weights in half precision, if every figure of the record stays within TOLERANCE.
        onnx: write the model's graphs in ONNX too, checked by the final evaluation.
        verify: evaluate the exported folder, which half and onnx do in any case.
        data: folder of the data, for what is evaluated.
        records: store whose runs of the same row the card's means are of.
        accelerator: device that evaluates it; graphs are always run on the CPU.

    Raises:
        UserError: the run has not finished, the folder holds something else, or the exported model is not the record's.
            The folder stays as it was.
    """
    record = finished_record(trained)
    saved = read(trained.place)
    build(saved, may_import=True)  # what cannot be loaded is not exported
    _require_place(folder, trained.place)
    with _replacing_model(folder) as scratch:
        dtype = torch.float16 if half else torch.float32
        _write_model(saved, trained.place / RECORD, scratch, dtype)
        read_again = read(scratch)
        for name, tensor in saved.weights.items():
            if not torch.equal(read_again.weights[name], tensor.to(dtype).float()):
                raise UserError(f"{folder / WEIGHTS}: {name} was not written as it is; is the disk full?")
        measured: dict[str, float] = {}
        remarks: list[str] = []
        graph_note = ""
        if half or verify or onnx:
            own = own_data(record, data)
            model = load(scratch, may_import=True).model
            measured = final_evaluation(model, own, accelerator)
            _compare(measured, record, half)
            remarks.append(comparison(measured, record))
            if onnx:
                replaced = load(scratch, may_import=True).model
                graph_note = export_graphs(replaced, model, scratch, trained.place / LOG_PROBABILITIES, own)
                remarks.append(graph_note)
        made = Card(record, measured, read_again.dtype, _is_half(saved), records, graph_note)
        _write_text(scratch / CARD, card(made))
    return Exported(sorted(path for path in folder.iterdir() if path.is_file()), remarks)


def _require_place(folder: Path, source: Path) -> None:
    """Refuse a folder whose content an export must not replace.

    Raises:
        UserError: it holds the model that is exported, or something that no export has written.
    """
    if not folder.is_dir():
        return
    if folder.samefile(source):
        raise UserError(f"{folder} holds the very model that is to be exported; name another folder")
    if any(not path.name.startswith(PREFIX) for path in folder.iterdir()) and not _is_exported(folder):
        raise UserError(f"{folder} is not empty and no exported model; name a new folder")


def _is_exported(folder: Path) -> bool:
    """Whether the suite has written the configuration in a folder, since other programs' models have one too."""
    try:
        config = read_json(folder / CONFIG)
    except UserError:
        return False
    return "format" in config and str(config.get("suite", "")).startswith(f"{SUITE} ")


@contextmanager
def _replacing_model(folder: Path) -> Iterator[Path]:
    """A scratch folder whose files take the place of an earlier export's once all of them are written.

    Until then the folder stays as it was. The configuration comes last: as it has the checksums of the other files,
    a model that is half replaced is refused.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{PREFIX}*"):
            if left.is_dir() and idle(leftover(left), IDLE_MINUTES):  # by an export that was killed
                shutil.rmtree(left)
        scratch = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        yield scratch
        for name in GRAPHS:
            (folder / name).unlink(missing_ok=True)
        for path in sorted(scratch.iterdir(), key=lambda path: path.name == CONFIG):
            path.replace(folder / path.name)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it holds the model
                folder.rmdir()


def _compare(metrics: Mapping[str, float], record: Record, half: bool) -> None:
    """Refuse half precision that changes a figure."""
    for name, value in record.metrics.items():
        if half and name in metrics and abs(metrics[name] - value) > TOLERANCE:
            raise UserError(
                f"in half precision {name} is {metrics[name]:.4f}, and {value:.4f} in the record: more than "
                f"{TOLERANCE} apart; export without --half"
            )


def _write_model(saved: Saved, record: Path, folder: Path, dtype: torch.dtype) -> None:
    """Write weights, vocabularies, record and, last, the configuration with the checksums of the others."""
    weights = {name: _narrowed(name, tensor, dtype) for name, tensor in saved.weights.items()}
    try:
        with replacing(folder / WEIGHTS) as scratch:
            scratch.write_bytes(save(weights, metadata={"format": "pt"}))
        write_json(
            {name: list(saved.arguments[name]) for name in WORDS if name in saved.arguments}, folder / VOCABULARIES
        )
        with replacing(folder / RECORD) as scratch:
            scratch.write_bytes(record.read_bytes())
        content = {
            "format": FORMAT,
            "suite": f"{SUITE} {version(SUITE)}",
            "model": saved.kind,
            "dtype": str(dtype).removeprefix("torch."),
            "arguments": _plain({name: value for name, value in saved.arguments.items() if name not in WORDS}),
            "files": {name: sha256_of(folder / name) for name in (WEIGHTS, VOCABULARIES, RECORD)},
        }
        write_json({**content, "sha256": checksum_of(content)}, folder / CONFIG)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from error


def _narrowed(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor in a number format, which must hold its values."""
    found = tensor.detach().to(dtype).contiguous().clone()
    if not torch.isfinite(found).all():
        raise UserError(f"{name} has values that {dtype} does not hold; export without --half")
    return found


def _is_half(saved: Saved) -> bool:
    """Whether half precision holds every weight, as is so of weights that have been rounded to it before."""
    return all(torch.equal(tensor, tensor.half().float()) for tensor in saved.weights.values())


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as JSON has them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}


def _write_text(path: Path, text: str) -> None:
    try:
        with replacing(path) as scratch:
            scratch.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
