"""Options of a run that do not change what is trained: where it runs and where its results go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jsonargparse.typing import PositiveFloat, PositiveInt

from datamodules.errors import UserError

Precision = Literal["32", "bf16-mixed"]

STORE, DATA = Path("runs"), Path("data")
"""Folders of the runs and of the data, where a command names no others."""

MOST = {"--seeds": 10_000, "--trials": 10_000, "--seed": 2**32 - 1, "--jobs": 1024, "--threads": 1024}
"""Largest numbers that make sense; larger ones would overflow, or fill the memory before anything else is said."""


def require_at_most(option: str, given: int | None) -> None:
    """Refuse a number that is too large to make sense.

    Raises:
        UserError: it is larger than MOST allows.
    """
    if given is not None and given > MOST[option]:
        raise UserError(f"{option}: expected at most {MOST[option]:,}, got {given}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where and how to run, which does not change what is trained."""

    data: Path = DATA
    """Folder that holds the data, one folder per source."""
    store: Path = STORE
    """Folder that takes records, checkpoints and logs."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Device kind: auto takes GPUs where there are any."""
    threads: PositiveInt | None = None
    """CPU threads of one run on each of its devices; by default its share of the cores, at most `OMP_NUM_THREADS`."""
    devices: PositiveInt = 1
    """Devices of one run on each machine: GPUs, or processes on a CPU, which share its batches."""
    precision: Precision = "32"
    """Precision of matrix products, in Lightning's names: 32 or bf16-mixed; weights and losses are in float32."""
    cuda_graphs: bool = True
    """Launch a language model's training step on one GPU as a CUDA graph; backbones of your own never are."""
    checkpoint_minutes: PositiveFloat = 10.0
    """Minutes between checkpoints within an epoch; there is one after each epoch and when a run is stopped."""
    num_nodes: PositiveInt = 1
    """Machines of one run, on each of which srun or torchrun starts it."""
    validate_every: PositiveInt = 1
    """Epochs from one measurement of the validation set to the next; the final evaluation has one in any case."""
    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    """Weights & Biases: auto (WANDB_MODE if set, else online when logged in, else offline), online, offline or off."""
    wandb_model: bool = False
    """Log the model of a finished run to Weights & Biases too, as an artifact."""

    @property
    def processes(self) -> int:
        """Processes of one run: one for each device of each machine."""
        return int(self.devices * self.num_nodes)
