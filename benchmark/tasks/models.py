"""Models of rows: built untrained, or with the weights of their runs."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.store.checkpoints import read_checkpoint
from benchmark.tasks.base import Config, Row
from datamodules.base import TaskData
from datamodules.errors import UserError
from datamodules.runs import record_beside
from models.base import TaskModel
from models.loading import require_finite


def build_model(row: Row, data: TaskData) -> TaskModel:
    """The row's untrained model.

    Raises:
        UserError: the row's backbone cannot be loaded, is not called as RegularizedLSTM is, or fails its trial, see
            models.own_backbones.
    """
    try:
        model = row.config.model(data)
        if row.config.backbone != Config.backbone:
            from models.own_backbones import try_backbones  # late: it needs the models of all tasks

            try_backbones(model)
        return model
    except (ValueError, TypeError) as error:
        raise UserError(f"{row.name}: cannot build the model: {error}") from error


def load_members(row: Row, checkpoints: Sequence[Path], datamodule: TaskData, device: str = "cpu") -> list[TaskModel]:
    """The trained models of several runs of a row, ready to be evaluated on its data.

    Args:
        row: the row that was trained.
        checkpoints: one file for each run.
        datamodule: the data, set up.
        device: where to put the models.

    Raises:
        UserError: a checkpoint cannot be loaded, is not of the training of the record beside it, or diverged.
    """
    members = []
    for path in checkpoints:
        model = build_model(row, datamodule)
        try:
            content = read_checkpoint(path)
            record_beside(path, content)
            model.load_state_dict(content["state_dict"])
        except RuntimeError as error:  # weights of another shape
            raise UserError(
                f"{path} cannot be loaded ({type(error).__name__}: {error}); train the run again"
            ) from error
        require_finite(model, path)
        members.append(model.to(device).eval())
    return members
