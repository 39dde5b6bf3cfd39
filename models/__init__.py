"""The regularized LSTM backbone and one LightningModule per task on top of it."""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch is loaded when a model is
    from models.loaded import Loaded


def load(place: str | PathLike[str]) -> "Loaded":
    """A trained model, ready to be used, from the folder of a run or from an exported one.

    Nothing in the folder is executed.

    Args:
        place: folder of a run, such as `runs/sotu-small/seed-1-69d58e0b`, or one that `rnnreg export` has written.

    Returns:
        The module in evaluation mode on the CPU, of the class in `models.loaded` for its task.

    Raises:
        UserError: there is no model, or it is damaged, incomplete, or needs code that has not been imported.
    """
    from models.loaded import load as load_model

    return load_model(place)
