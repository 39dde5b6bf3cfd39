"""Models of a store's runs: built for a row, found by name, or loaded as the members of an ensemble."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmark.store.checkpoints import read_checkpoint
from benchmark.store.records import CHECKPOINT
from benchmark.tasks.base import Row
from datamodules.base import TaskData
from datamodules.errors import UserError
from models.base import TaskModel

Model = TypeVar("Model", bound=TaskModel)


def build_model(row: Row, data: TaskData) -> TaskModel:
    """The row's untrained model.

    Raises:
        UserError: the row's backbone cannot be loaded, or is not called as RegularizedLSTM is.
    """
    try:
        return row.config.model(data)
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
        UserError: a checkpoint cannot be loaded.
    """
    members = []
    for path in checkpoints:
        model = build_model(row, datamodule)
        try:
            model.load_state_dict(read_checkpoint(path)["state_dict"])
        except RuntimeError as error:  # weights of another shape
            raise UserError(
                f"{path} cannot be loaded ({type(error).__name__}: {error}); train the run again"
            ) from error
        members.append(model.to(device).eval())
    return members


def find_trained(row: str, seed: int, store: Path, kind: type[Model]) -> Model:
    """The model of a finished or half-finished run, from its checkpoint alone: no data is needed.

    Args:
        row: name of the row, or of a variant of it.
        seed: seed of the run.
        store: folder that holds the run.
        kind: class of the model, which tells the task.

    Raises:
        UserError: there is no such run, there are several, or its checkpoint does not hold such a model.
    """
    path = _find_checkpoint(row, seed, store)
    content = read_checkpoint(path)
    if content["model"] != kind.__name__:
        raise UserError(f"{path} holds a {content['model']}, not a {kind.__name__}; that is for another command")
    try:
        return kind.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except Exception as error:  # written by other code
        raise UserError(f"{path} cannot be loaded ({type(error).__name__}: {error})") from error


def _find_checkpoint(row: str, seed: int, store: Path) -> Path:
    """The only checkpoint of a row with that seed."""
    trained = sorted(store.glob(f"*/seed-*-*/{CHECKPOINT}"))
    found = [path for path in trained if (path.parent.parent.name, _seed(path)) == (row, str(seed))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"{store} has several runs of {row} with seed {seed}; move all but one away: {', '.join(map(str, found))}"
        )
    others = sorted({f"{path.parent.parent.name} seed {_seed(path)}" for path in trained})
    hint = f"trained there: {', '.join(others)}" if others else f"train it with `rnnreg run {row} --seed {seed}`"
    raise UserError(f"{store} has no trained {row} with seed {seed}; {hint}")


def _seed(checkpoint: Path) -> str:
    """The seed in the name of a checkpoint's folder, which is seed-SEED-FINGERPRINT."""
    return checkpoint.parent.name.split("-")[1]
