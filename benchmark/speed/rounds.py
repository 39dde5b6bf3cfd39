"""One round: a contender trains some steps, in a process that does nothing else."""

import ctypes
import gc
import os
import random
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback
from typing_extensions import override

from benchmark.speed import plain
from benchmark.store.locks import RunLock
from benchmark.store.provenance import describe_versions
from benchmark.store.speeds import CELLS, LIGHTNING, OURS, OURS_RECURRENT, PLAIN, Case
from benchmark.tasks.base import Row
from benchmark.tasks.language_modeling import PTB_LARGE, PTB_MEDIUM, PTB_SMALL, LanguageModelConfig
from benchmark.tasks.methods import METHODS
from benchmark.training.options import Options
from benchmark.training.train import build, configure, set_up_data
from datamodules.base import TaskData
from datamodules.vocabulary import UNK

WORDS = 10_000
"""Words of the vocabulary, as many as the paper's."""
UNTIMED = {"cpu": 2, "cuda": 5}
"""Steps before the clock starts, by device: libraries choose their kernels, CUDA graphs are captured."""

PEAK_SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices whose product shows what a device can do at most."""

ROWS = {"small": PTB_SMALL, "medium": PTB_MEDIUM, "large": PTB_LARGE}
"""What is trained at each size."""


def config_of(row: Row) -> LanguageModelConfig:
    """The configuration of a language model's row."""
    assert isinstance(row.config, LanguageModelConfig)
    return row.config


@dataclass(frozen=True)
class Round:
    """What one round took."""

    seconds: float
    """Seconds of a step, the mean over the timed ones."""
    memory: float
    """MiB that the round took beyond what the process held before it; on a GPU, MiB reserved there."""


class Clock(Callback):
    """Times the steps of a Trainer after the first ones.

    Args:
        steps: steps to time.
        device: cpu or cuda.
    """

    def __init__(self, steps: int, device: str) -> None:
        self.steps, self.device = steps, device
        self.begin = self.end = 0.0

    @override
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == UNTIMED[self.device]:
            self.begin = now(self.device)

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == UNTIMED[self.device] + self.steps - 1:
            self.end = now(self.device)


def now(device: str) -> float:
    """The time when the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def run_round(case: Case, steps: int, device: str, lane: int) -> Round:
    """Train some steps of a case.

    Args:
        case: what is trained by what.
        steps: steps to time.
        device: cpu or cuda.
        lane: number of this process among those side by side, which decides its cores.
    """
    pin(case.threads, lane, device)
    before = memory_before(device)
    with tempfile.TemporaryDirectory() as folder:
        seconds = CONTENDERS[case.contender](case, steps, device, Path(folder))
    return Round(seconds / steps, memory_peak(device) - before)


def pin(threads: int, lane: int, device: str) -> None:
    """Keep this process to cores of its own, as many as it has threads."""
    torch.set_num_threads(threads)
    available = sorted(os.sched_getaffinity(os.getppid())) if hasattr(os, "sched_setaffinity") else []
    own = available[lane * threads : (lane + 1) * threads]
    if device == "cpu" and len(own) == threads:
        os.sched_setaffinity(0, own)


def train_row(row: Row, case: Case, steps: int, device: str, folder: Path) -> float:
    """The suite's own path: data, model and trainer exactly as `rnnreg run` builds them, without validation."""
    options = Options(
        store=folder, accelerator="gpu" if device == "cuda" else "cpu", precision=case.precision, wandb="off"
    )
    configure(options)
    config = config_of(row)
    write_text(folder / "text", (UNTIMED[device] + steps) * config.batch_size * config.unroll + config.batch_size)
    row = row.variant("benchmark", source=str(folder / "text"), epochs=1)
    clock = Clock(steps, device)
    fit_with(clock, row, set_up_data(row, 1, options), options, batches=UNTIMED[device] + steps)
    return clock.end - clock.begin


def fit_with(clock: Callback, row: Row, data: TaskData, options: Options, batches: float = 1.0) -> None:
    """Train a row as `rnnreg run` does, without validation, beside a clock.

    Args:
        clock: the clock.
        row: the row.
        data: its data, set up.
        options: how and where it is trained.
        batches: batches of an epoch, or the part of them if it is no whole number, as Lightning has it.
    """
    lock = RunLock(options.store, row.name, 1, row.config.fingerprint())
    with lock.held():
        training = build(row, 1, options, lock, lambda epoch, epochs: None, data, "run")
        trainer: Any = training.trainer
        trainer.callbacks.remove(training.first_steps)  # it measures eight steps of a run, which here are most
        trainer.callbacks.append(clock)
        trainer.limit_train_batches, trainer.limit_val_batches = batches, 0
        trainer.fit(training.model, datamodule=data)


def ours(case: Case, steps: int, device: str, folder: Path) -> float:
    """The suite's own path, with the paper's row or with a method in place of its dropout."""
    row = ROWS[case.size]
    if case.method:
        row = row.variant(row.name, **{"dropout": 0.0, **METHODS[case.method].of_source})
    return train_row(row, case, steps, device, folder)


def ours_with_recurrent_dropout(case: Case, steps: int, device: str, folder: Path) -> float:
    """The suite's own path with dropout on the recurrent connections too."""
    row = ROWS[case.size]
    return train_row(row.variant(row.name, recurrent_dropout=row.config.dropout or 0.5), case, steps, device, folder)


def plain_loop(case: Case, steps: int, device: str, folder: Path) -> float:
    """A plain loop around nn.LSTM."""
    return _timed(plain.WithLSTM, case, steps, device)


def cell_loop(case: Case, steps: int, device: str, folder: Path) -> float:
    """A plain loop around nn.LSTMCell."""
    return _timed(plain.WithCells, case, steps, device)


def lightning(case: Case, steps: int, device: str, folder: Path) -> float:
    """Lightning with default logging."""
    clock = Clock(steps, device)
    config = config_of(ROWS[case.size])
    plain.lightning(WORDS, config, batches(config, UNTIMED[device] + steps), device, case.precision, str(folder), clock)
    return clock.end - clock.begin


CONTENDERS = {
    OURS: ours,
    OURS_RECURRENT: ours_with_recurrent_dropout,
    PLAIN: plain_loop,
    CELLS: cell_loop,
    LIGHTNING: lightning,
}
"""Everything whose speed is measured, by its name in results."""


def _timed(network: type[torch.nn.Module], case: Case, steps: int, device: str) -> float:
    config = config_of(ROWS[case.size])
    training = plain.loop(network, WORDS, config, batches(config, UNTIMED[device] + steps), device, case.precision)
    for _ in range(UNTIMED[device]):
        next(training)
    begin = now(device)
    for _ in range(steps):
        next(training)
    return now(device) - begin


def batches(config: LanguageModelConfig, count: int) -> list[plain.Batch]:
    """Windows of random words."""
    ids = torch.randint(WORDS, (2, count, config.unroll, config.batch_size))
    return list(zip(*ids, strict=True))


def write_text(folder: Path, tokens: int) -> None:
    """Write random words as a source of text, whose training part holds every word of the vocabulary."""
    draw = random.Random(0)
    words = [UNK, *map(str, range(WORDS - 2))]  # and <eos>
    drawn = [*words, *draw.choices(words, k=tokens)]
    lines = [" ".join(drawn[begin : begin + 20]) for begin in range(0, len(drawn), 20)]
    folder.mkdir()
    for name, content in (("train", lines), ("valid", lines[:100]), ("test", lines[:100])):
        (folder / f"{name}.txt").write_text("\n".join(content) + "\n")


def peak_flops(case: Case, device: str, lane: int) -> float:
    """Floating-point operations per second of a large product of matrices, in the precision of a case."""
    pin(case.threads, lane, device)
    size = PEAK_SIZE[device]
    dtype = torch.bfloat16 if case.precision == "bf16-mixed" else torch.float32
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(4):
        begin = now(device)
        one @ other
        fastest = min(fastest, now(device) - begin)
    return 2 * size**3 / fastest


def environment(device: str, lane: int) -> dict[str, str]:
    """What the numbers of the suite depend on, in one of its processes, whose products are rounded as in training."""
    return describe_versions(torch.device(device))


def memory_before(device: str) -> float:
    """MiB that this process holds, with what it does not need given back and the record of its peak begun anew."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return 0.0
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def memory_peak(device: str) -> float:
    """MiB held at the peak since `memory_before`; nan where the system does not tell."""
    return torch.cuda.max_memory_reserved() / 2**20 if device == "cuda" else _status("VmHWM")


def _status(name: str) -> float:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024
    return float("nan")
