"""Speed of training that holds on a shared machine: as a ratio to a product of matrices measured in the same run."""

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback
from typing_extensions import override

from benchmark.store.locks import RunLock
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from benchmark.training.train import build, configure, set_up_data

WARM_UP_SECONDS, WINDOW_SECONDS = 1.0, 0.06
"""Training before anything is timed, and training between two products."""
PRODUCT_SIZE = 768
"""Rows and columns of the matrices whose product is timed."""


class Windows(Callback):
    """Times windows of training steps and, between them, a product of matrices.

    Whatever else runs on the machine slows both, so that their ratio hardly changes. Everything that the loop does
    counts: data, forward, backward, clipping, update, logging.

    Args:
        fewest: windows to time at least.
        most: windows to time at most, while the median of the ratios is uncertain.
        error: relative standard error of that median with which the training ends.
    """

    def __init__(self, fewest: int, most: int, error: float) -> None:
        self.fewest, self.most, self.error = fewest, most, error
        self.ratios: list[float] = []
        """Seconds of a step over seconds of a product, of each window."""
        self._matrix = torch.randn(PRODUCT_SIZE, PRODUCT_SIZE)
        self._steps_per_window = 0
        self._done = 0
        self._begin = self._product = 0.0

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._begin = time.perf_counter()

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        self._done += 1
        if not self._steps_per_window:
            if now - self._begin < WARM_UP_SECONDS:
                return
            self._steps_per_window = max(1, round(WINDOW_SECONDS * self._done / (now - self._begin)))
        elif self._done < self._steps_per_window:
            return
        else:
            before, self._product = self._product, self._time_of_product()
            self.ratios.append(2 * (now - self._begin) / self._done / (before + self._product))
            enough = len(self.ratios) >= self.fewest and relative_error(self.ratios) < self.error
            trainer.should_stop = enough or len(self.ratios) >= self.most
        if not self.ratios:
            self._product = self._time_of_product()
        self._done, self._begin = 0, time.perf_counter()

    def _time_of_product(self) -> float:
        begin = time.perf_counter()
        for _ in range(2):
            self._matrix @ self._matrix
        return time.perf_counter() - begin


@dataclass(frozen=True)
class StepTime:
    """Time of a training step, in products of matrices."""

    ratio: float
    error: float
    """Relative standard error, from the spread over windows."""


FEWEST_WINDOWS, MOST_WINDOWS, ERROR = 60, 400, 0.015
"""Windows that are timed: until the standard error of their median is that small."""


def measure(row: Row, options: Options) -> StepTime:
    """Time the training of a row, as `rnnreg run` trains it; nothing is kept of it.

    Args:
        row: the row.
        options: where its data is and on how many threads it runs.

    Raises:
        UserError: the data is missing, or the model cannot be built.
    """
    with tempfile.TemporaryDirectory() as scratch:
        options = replace(options, store=Path(scratch), wandb="off", accelerator="cpu")
        configure(options)
        lasting = replace(row, config=replace(row.config, epochs=10_000, flat_epochs=10_000))
        data = set_up_data(lasting, 1, options)
        lock = RunLock(options.store, row.name, 1, lasting.config.fingerprint())
        clock = Windows(FEWEST_WINDOWS, MOST_WINDOWS, ERROR)
        with lock.held():
            training = build(lasting, 1, options, lock, lambda epoch, epochs: None, data, "run")
            trainer: Any = training.trainer
            trainer.callbacks.append(clock)
            trainer.limit_val_batches = 0
            trainer.fit(training.model, datamodule=data)
    return StepTime(statistics.median(clock.ratios), relative_error(clock.ratios))


def relative_error(values: Sequence[float]) -> float:
    """Relative standard error of the median, from the distance of the quartiles, as of a normal distribution."""
    low, middle, high = statistics.quantiles(values, n=4)
    return 1.2533 * (high - low) / 1.349 / math.sqrt(len(values)) / middle
