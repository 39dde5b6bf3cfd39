"""Launchers, which run the runs of a grid: processes of this machine, Ray, or SLURM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from benchmark.grid.launchers.base import Launcher
from benchmark.training.options import Options
from datamodules.errors import UserError

Kind = Literal["local", "ray", "slurm"]
"""The launchers by the names that `--launcher` takes."""


def make_launcher(
    kind: Kind,
    options: Options,
    runs: int,
    jobs: int | None = None,
    runs_per_device: int = 1,
    slurm: Mapping[str, Any] | None = None,
) -> Launcher:
    """Make a launcher of that kind.

    Args:
        kind: local, ray or slurm.
        options: options of the runs.
        runs: number of runs in the grid.
        jobs: maximum number of runs at a time.
        runs_per_device: number of runs that share a GPU; not for SLURM, whose jobs have their own.
        slurm: parameters of SLURM's jobs.

    Raises:
        UserError: the launcher is not installed or cannot be used here, or an option does not fit it.
    """
    if options.num_nodes > 1:
        raise UserError("--num-nodes is for `rnnreg run`; a run of a grid stays on one machine")
    if slurm and kind != "slurm":
        raise UserError(f"--slurm is of no use to --launcher {kind}")
    # Imported here, since the command line reads `Kind` and must start at once.
    if kind == "slurm":
        from benchmark.grid.launchers.slurm import Slurm

        return Slurm(options, jobs, slurm or {})
    if kind == "ray":
        from benchmark.grid.launchers.ray import Ray

        return Ray(options, jobs, runs_per_device)
    from benchmark.grid.launchers.local import Local

    return Local(options, jobs, runs_per_device, runs)


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Where the runs of a grid are executed, and how many at a time: options that all commands with a grid have."""

    launcher: Kind = "local"
    """Where runs are executed: local (this machine's GPUs, or its cores), ray (the cluster at RAY_ADDRESS, or else Ray
    on this machine) or slurm (jobs of the cluster that this machine submits to)."""
    jobs: PositiveInt | None = None
    """Runs at a time; if not given, one a GPU, or as many as there are cores, or as the cluster has room for."""
    runs_per_device: PositiveInt = 1
    """Runs that share a GPU."""
    slurm: dict[str, Any] | None = None
    """Parameters of SLURM's jobs, as submitit takes them: '{"slurm_partition": "gpu", "gpus_per_node": 1}'."""
    retries: NonNegativeInt = 1
    """Number of times that a run is tried again if it crashes or its process dies."""

    def make(self, options: Options, runs: int) -> Launcher:
        """The launcher of so many runs; see make_launcher."""
        return make_launcher(self.launcher, options, runs, self.jobs, self.runs_per_device, self.slurm)

    def slots(self, options: Options, runs: int) -> int | None:
        """Runs at a time, as far as it is known without a cluster."""
        return self.make(options, runs).slots if self.launcher == "local" else self.jobs
