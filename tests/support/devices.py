"""Functions that tests of devices run: they write down steps, die, fail or are stopped."""

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.grid.grid import silent
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from benchmark.training.train import train
from models.backbone import RegularizedLSTM
from models.base import TaskModel

Step = dict[str, Any]
"""Loss, norm of the gradient before clipping, and all parameters after the step."""


@contextmanager
def steps_written_to(steps: list[Step]):
    """Write down every training step of every model."""
    hooks = {name: getattr(TaskModel, name) for name in ("on_before_optimizer_step", "on_train_batch_end")}
    norms: list[float] = []

    def before(self: TaskModel, optimizer: Any) -> None:
        norms.append(float(torch.cat([parameter.grad.flatten() for parameter in self.parameters()]).norm()))

    def after(self: TaskModel, outputs: Any, batch: Any, batch_idx: int) -> None:
        parameters = torch.cat([parameter.detach().flatten() for parameter in self.parameters()])
        steps.append(
            {
                "loss": float(self.all_reduce_sum(outputs["loss"].detach())),
                "own loss": float(outputs["loss"]),
                "norm": norms.pop(),
                "parameters": parameters.tolist(),
            }
        )

    TaskModel.on_before_optimizer_step, TaskModel.on_train_batch_end = before, after  # type: ignore[method-assign]
    try:
        yield
    finally:
        for name, hook in hooks.items():
            setattr(TaskModel, name, hook)


class Stop(Exception):
    """Stands for a machine that goes down."""


def stop_after_one(epoch: int, _: int) -> None:
    """Stop in the second epoch, so that the first is kept."""
    if epoch == 2:
        raise Stop


def interrupt_after_one(epoch: int, _: int) -> None:
    """Stop, as by Ctrl-C, once an epoch is done."""
    raise KeyboardInterrupt


def raise_on_the_second(error: type[Exception]) -> None:
    """Raise an error on the second of two devices, for which the first one waits."""
    if os.environ["RANK"] == "1":
        raise error("wrong on 1: as it was said")
    time.sleep(60)


def train_each(rows: Sequence[Row], seed: int, options: Options, out: Path) -> None:
    """Train rows, one after the other, and leave their steps in out/<row>-<rank>.json."""
    for row in rows:
        steps: list[Step] = []
        with steps_written_to(steps):
            train(row, seed, options, progress=silent)
        (out / f"{row.name}-{os.environ.get('RANK', 0)}.json").write_text(json.dumps(steps))


class Mortal(RegularizedLSTM):
    """A backbone whose process is killed in the second rank's eighth training step, once: where FATE names a file."""

    def forward(self, inputs: torch.Tensor, state: Any = None) -> Any:
        """See RegularizedLSTM."""
        self.calls = getattr(self, "calls", 0) + self.training
        fate = Path(os.environ.get("FATE", "nowhere"))
        if self.calls == 8 and os.environ.get("RANK") == "1" and fate.exists():
            fate.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(inputs, state)


def fail_beside_a_death() -> None:
    """Be killed as the second of two processes; fail as the first one, at once, as an exchange with a dead one does."""
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("connection reset by peer")
