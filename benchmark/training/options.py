"""Where and how a run is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jsonargparse.typing import PositiveInt


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where and how to run, which does not change what is trained."""

    data: Path = Path("data")
    """Folder that holds the data, one folder per source."""
    store: Path = Path("runs")
    """Folder that takes records, checkpoints and logs."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Device kind: auto takes GPUs where there are any."""
    threads: PositiveInt | None = None
    """CPU threads of one run on each of its devices; its part of the cores if not given."""
    devices: PositiveInt = 1
    """Devices of one run on each machine: GPUs, or processes on a CPU, among which its batches are split."""
    num_nodes: PositiveInt = 1
    """Machines of one run, all started by srun or torchrun."""
    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    """Weights & Biases: auto (online when logged in, else offline), online, offline or off."""
