"""Trained models from files: a run's checkpoint, or a folder that `rnnreg export` has written.

Reading executes nothing: weights are safetensors, or a checkpoint that PyTorch reads as data alone, and the rest is
JSON.
"""

import importlib
import json
import pickle
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from datamodules.errors import UserError, in_one_line
from datamodules.mistaken import BEGIN, mistaken
from datamodules.runs import CHECKPOINT, read_sealed_record, record_beside
from datamodules.runs import RECORD as RECORD
from datamodules.sealed import checksum_of
from datamodules.sources import sha256_of
from datamodules.tensor_files import load_tensors
from datamodules.text import read_json as read_any_json
from models.base import TaskModel
from models.options import BackboneArguments, declared

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
VOCABULARIES = "vocabularies.json"
"""Names in an exported folder; its copy of the record is named as in the folder of a run."""

PARTS = (CONFIG, WEIGHTS, VOCABULARIES, RECORD)
NEEDED = ("model", "state_dict", "hyper_parameters")
"""Keys of a checkpoint that a model is built from."""
RIGHT = "`models.load` reads the folder of a run, or one that `rnnreg export` has written"
OBJECT = re.compile(r"\bGLOBAL ([\w.]+)")
"""PyTorch's name of what it would have to import to read a file."""
ZIP, PICKLE = b"PK", b"\x80"
"""Begins of the files that PyTorch writes, today and before version 1.6."""

FORMAT = 1
"""Version of the exported folder."""

KINDS = {
    "LanguageModel": "models.language_model",
    "AcousticModel": "models.acoustic_model",
    "Translator": "models.translator",
    "Captioner": "models.captioner",
}
"""The classes of models that can be loaded, and their modules."""

WORDS = ("vocabulary", "source_vocabulary", "target_vocabulary", "states")
"""Arguments of models that are lists of words, which an exported folder keeps in a file of their own."""


@dataclass(frozen=True)
class Saved:
    """A trained model as it is kept."""

    place: Path
    """Folder or file that it was read from."""
    kind: str
    """Name of its class."""
    arguments: dict[str, Any]
    """Arguments of its constructor."""
    weights: dict[str, Tensor]
    """Parameters and buffers by name, single precision."""
    dtype: str = "float32"
    """Number format in which the weights are kept."""
    record: dict[str, Any] = field(default_factory=dict)
    """The record of this very training, its checksum verified; empty if the run has not finished."""


def read(place: Path) -> Saved:
    """Read a model from the folder of a run, from an exported folder, or from a checkpoint.

    Raises:
        UserError: there is no model, it is damaged or that of another program, or checkpoint and record are not of the
            same training.
    """
    if place.is_file() and place.name in PARTS:
        raise UserError(f"{place} is a part of a model; name its folder, {place.parent}")
    if (place / CONFIG).is_file():
        return _read_exported(place)
    checkpoint = place if place.is_file() else place / CHECKPOINT
    if not checkpoint.is_file():
        raise UserError(no_model(place))
    return _read_checkpoint(checkpoint)


def no_model(place: Path | str) -> str:
    """The message that a folder holds no model."""
    return (
        f"{place} holds no model: neither {CHECKPOINT}, as the folder of a run does, nor {CONFIG}, as `rnnreg export` "
        "writes it"
    )


def build(saved: Saved, may_import: bool = False) -> TaskModel:
    """The model in evaluation mode, with its weights.

    Args:
        saved: what was read.
        may_import: whether a backbone of the user's own may be imported by the name that was read. Otherwise it must
            have been imported before, since importing a module executes it.

    Raises:
        UserError: the suite has no such kind of model, it needs code that is not there, it has options that this
            version does not know, its weights do not fit, or they are not finite.
    """
    if saved.kind not in KINDS:
        raise UserError(f"{saved.place} holds a {saved.kind}; there are {', '.join(KINDS)}")
    _require_backbone(saved, may_import)
    kind = getattr(importlib.import_module(KINDS[saved.kind]), saved.kind)
    if unknown := sorted(saved.arguments.keys() - declared(kind).keys() - BackboneArguments.__annotations__.keys()):
        raise UserError(
            f"{saved.place} has the option {', '.join(unknown)}, which this version of the suite does not know: it was "
            "exported by another version; use that one"
        )
    try:
        for name in ("layers", "folds"):  # a number that would take for ever to build
            if int(saved.arguments.get(name, 0)) > len(saved.weights):
                raise ValueError(f"{saved.arguments[name]} {name} in {len(saved.weights)} tensors")
        with torch.device("meta"):  # shapes first, which take no memory
            _compare_shapes(kind(**saved.arguments).state_dict(), saved.weights)
        model: TaskModel = kind(**saved.arguments)
        model.load_state_dict(saved.weights)
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        raise UserError(f"{saved.place} is not a whole model: {type(error).__name__}: {error}") from error
    require_finite(model, saved.place)
    return model.eval()


def require_finite(model: TaskModel, place: Path) -> None:
    """Refuse a model of which nothing but numbers that are none would come.

    Args:
        model: the model with its weights. Buffers, such as masks of a user's own class, may be infinite.
        place: the file or folder that they were read from.

    Raises:
        UserError: a weight is not finite.
    """
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise UserError(
                f"{place}: weights of {name} are no finite numbers, as where the training diverged; train it again "
                "with a smaller lr or clip"
            )


def _require_backbone(saved: Saved, may_import: bool) -> None:
    """Refuse a model whose backbone has no full name, or that of a module which would have to be imported."""
    backbone = str(saved.arguments.get("backbone", ""))
    module = backbone.rpartition(".")[0]
    if not module:
        raise UserError(
            f"{saved.place} is not a whole model: its backbone is {backbone!r}, must be module.Class, such as "
            "models.backbone.RegularizedLSTM"
        )
    if not (may_import or backbone.startswith("models.") or module in sys.modules):
        raise UserError(
            f"{saved.place} needs the backbone {backbone}, and a model does not import code; import {module} first, "
            "or name the rows file that has it with --rows_file"
        )


def _compare_shapes(expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    if missing := sorted(expected.keys() ^ found.keys()):
        raise ValueError(f"it has not the tensors of its configuration: {', '.join(missing[:3])}")
    for name, tensor in expected.items():
        if tensor.shape != found[name].shape:
            raise ValueError(f"{name} is {list(found[name].shape)}, expected {list(tensor.shape)}")


def _read_checkpoint(path: Path) -> Saved:
    try:
        content = load_tensors(path)
    except UserError:
        raise
    except Exception as error:  # a broken file may raise anything
        raise UserError(f"{path} {_unreadable(path, error)}") from error
    lacking = [key for key in NEEDED if not (isinstance(content, dict) and key in content)]
    if lacking:
        raise UserError(
            f"{path} is not a checkpoint of this suite, as it has no {' and no '.join(lacking)}: another program has "
            f"written it; {RIGHT}"
        )
    try:
        record = record_beside(path, content)
        model, weights, arguments = (content[key] for key in NEEDED)
        return Saved(path, str(model), dict(arguments), dict(weights), record=record)
    except UserError:
        raise
    except Exception as error:  # what it holds may be of any type
        raise UserError(f"{path} is not a whole checkpoint ({in_one_line(error)})") from error


def _unreadable(path: Path, error: Exception) -> str:
    """What a file is that could not be read as a checkpoint, after its name, and what would be right."""
    with path.open("rb") as file:
        begin = file.read(BEGIN)
    if what := mistaken(begin):
        return what
    if isinstance(error, pickle.UnpicklingError):  # PyTorch's own words advise to execute what is in the file
        found = OBJECT.search(str(error))
        objects = found[1] if found else "objects of Python"
        return f"holds {objects}, which only executing it could read: another program has written it; {RIGHT}"
    if begin[8:9] == b"{":  # after the length of the header that it begins
        return f"holds weights alone, in safetensors, and no configuration; {RIGHT}"
    if not begin.startswith(ZIP[: len(begin)]):
        kind = "is of another program or of a PyTorch before 1.6" if begin.startswith(PICKLE) else "is no checkpoint"
        return f"{kind}, as it does not begin as one; {RIGHT}"
    return f"is not a whole checkpoint ({in_one_line(error)}); copy it again, or train the run again"


def _read_exported(folder: Path) -> Saved:
    config = read_json(folder / CONFIG)
    if "format" not in config:
        raise UserError(f"{folder / CONFIG} is not of this suite, but of a model of another program; {RIGHT}")
    if config["format"] != FORMAT:
        raise UserError(f"{folder / CONFIG}: format {config['format']!r}, this version reads {FORMAT}")
    if config.get("sha256") != checksum_of(config):
        raise UserError(f"{folder / CONFIG} was altered after the export (its checksum differs); copy it again")
    try:
        if set(config["files"]) != {WEIGHTS, VOCABULARIES, RECORD}:
            raise UserError(f"{folder / CONFIG} names other files than an exported model has; copy it again")
        for name, expected in config["files"].items():
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} is missing; export the model again, or copy the whole folder")
            if sha256_of(folder / name) != expected:
                raise UserError(f"{folder / name} {_altered(folder / name)}")
        vocabularies = read_json(folder / VOCABULARIES)
        arguments = {**config["arguments"], **{name: vocabularies[name] for name in WORDS if name in vocabularies}}
        record = read_sealed_record(folder / RECORD) if read_json(folder / RECORD) else {}
        weights = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
        return Saved(folder, str(config["model"]), arguments, weights, str(config["dtype"]), record)
    except (KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise UserError(f"{folder} is not a whole exported model ({type(error).__name__}: {error})") from error


def _altered(path: Path) -> str:
    """What a file is that is not the one that was exported, after its name, and what would be right."""
    with path.open("rb") as file:
        what = mistaken(file.read(BEGIN))
    return what or "is not the file that was exported (checksum differs); copy it again"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        UserError: it is missing, too large, or no JSON object.
    """
    content = read_any_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a JSON object")
    return content


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write a JSON object that `read_json` reads, letters escaped, so that no reader composes them anew."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
