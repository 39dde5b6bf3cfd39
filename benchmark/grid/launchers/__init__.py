"""Launchers, which run the runs of a grid: processes of this machine, Ray, or SLURM."""

from collections.abc import Mapping
from typing import Any, Literal

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
