"""Trained models of a store, ready to be used."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch

from benchmark.store.records import CHECKPOINT
from benchmark.tasks.base import Row
from datamodules.base import TaskData
from datamodules.errors import UserError
from models.base import TaskModel


def load(row: Row, checkpoints: Sequence[Path], datamodule: TaskData, device: str = "cpu") -> list[TaskModel]:
    """The trained models of several runs of a row, ready to be evaluated.

    Args:
        row: what was trained.
        checkpoints: of the runs.
        datamodule: the data, set up.
        device: where to put the models.

    Raises:
        UserError: a checkpoint cannot be loaded.
    """
    models = []
    for path in checkpoints:
        model = build_model(row, datamodule)
        try:
            model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
        except Exception as error:  # whatever a broken file gives
            raise UserError(
                f"{path} cannot be loaded ({type(error).__name__}: {error}); train the run again"
            ) from error
        models.append(model.to(device).eval())
    return models


Model = TypeVar("Model", bound=TaskModel)


def trained(row: str, seed: int, store: Path, model: type[Model]) -> Model:
    """The model of a finished or half-finished run.

    Args:
        row: name of the row, or of a variant of it.
        seed: of the run.
        store: folder that holds the run.
        model: class of the model, which tells the task.

    Raises:
        UserError: there is no such run, there are several, or its checkpoint is not one of such a model.
    """
    found = sorted(path for path in store.glob(f"*/seed-{seed}-*/{CHECKPOINT}") if path.parent.parent.name == row)
    if not found:
        there = sorted(
            {
                f"{path.parent.parent.name} seed {path.parent.name.split('-')[1]}"
                for path in store.glob(f"*/*/{CHECKPOINT}")
            }
        )
        hint = f"trained there: {', '.join(there)}" if there else f"train it with `rnnreg run {row} --seed {seed}`"
        raise UserError(f"{store} has no trained {row} with seed {seed}; {hint}")
    if len(found) > 1:
        raise UserError(
            f"{store} has several runs of {row} with seed {seed}; move all but one away: {', '.join(map(str, found))}"
        )
    try:
        holds = torch.load(found[0], map_location="cpu", weights_only=True, mmap=True)["model"]
        if holds != model.__name__:
            raise UserError(f"{found[0]} holds a {holds}, not a {model.__name__}; that is for another command")
        return model.load_from_checkpoint(found[0], map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{found[0]} cannot be loaded ({type(error).__name__}: {error})") from error


def build_model(row: Row, data: TaskData) -> TaskModel:
    """The row's model.

    Raises:
        UserError: the row's backbone cannot be loaded, or not called as RegularizedLSTM is.
    """
    try:
        return row.config.model(data)
    except (ValueError, TypeError) as error:
        raise UserError(f"{row.name}: cannot build the model: {error}") from error
