"""Speed of training that holds on a shared machine: as a ratio to steps of a plain loop measured in the same run."""

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback
from torch import Tensor
from typing_extensions import override

from benchmark.speed import plain
from benchmark.speed.rounds import fit_with
from benchmark.tasks.base import Config, Row
from benchmark.tasks.language_modeling import PTB_SMALL, LanguageModelConfig
from benchmark.training.options import Options
from benchmark.training.train import configure, set_up_data
from datamodules.base import TaskData

WARM_UP_SECONDS, WINDOW_SECONDS, REFERENCE_SECONDS = 1.0, 0.06, 0.03
"""Training before anything is timed, training in a window, and steps of the plain loop between two windows."""
LOOKED_AT = 50
"""Batches whose length the plain loop takes."""


def reference(config: Config, classes: int, length: int) -> Iterator[None]:
    """Steps of a plain loop that trains a language model as large as a row's model, without end.

    It does the same kinds of work as the suite's steps, on as much memory, so that whatever else runs on the machine
    slows both alike. None of its code is the suite's.

    Args:
        config: configuration of the row.
        classes: classes that the row's model chooses from, the language model's vocabulary.
        length: mean length of a sequence of the row's batches, the language model's window.
    """
    assert isinstance(PTB_SMALL.config, LanguageModelConfig)
    model = replace(
        PTB_SMALL.config,
        hidden_size=config.hidden_size,
        batch_size=config.batch_size,
        dropout=0.2,
        unroll=length,
    )
    ids = torch.randint(classes, (2, 8, length, model.batch_size))
    return plain.loop(plain.WithLSTM, classes, model, itertools.cycle(zip(*ids, strict=True)), "cpu", "32")


class Windows(Callback):
    """Times windows of training steps and, between them, steps of a plain loop.

    Everything that the suite's loop does counts: data, forward, backward, clipping, update, logging.

    Args:
        config: configuration of the row that is trained.
        length: mean length of a sequence of its batches.
        fewest: windows to time at least.
        most: windows to time at most, while the median of the ratios is uncertain.
        error: relative standard error of that median with which the training ends.
    """

    def __init__(self, config: Config, length: int, fewest: int, most: int, error: float) -> None:
        self.config, self.length, self.fewest, self.most, self.error = config, length, fewest, most, error
        self.ratios: list[float] = []
        """Seconds of a step over seconds of a step of the plain loop, of each window."""
        self._steps_per_window = self._steps_between = 0
        self._done = 0
        self._steps: Iterator[None] = iter(())
        self._begin = self._reference = 0.0

    @override
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        outputs: Any = [part for name, part in pl_module.named_modules() if name.split(".")[-1] == "output"]
        self._steps = reference(self.config, outputs[-1].out_features, self.length)
        self._steps_between = max(1, round(REFERENCE_SECONDS / min(self._time(1) for _ in range(5))))
        self._begin = time.perf_counter()

    @override
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        now = time.perf_counter()
        self._done += 1
        if not self._steps_per_window:
            if now - self._begin < WARM_UP_SECONDS:
                return
            self._steps_per_window = max(1, round(WINDOW_SECONDS * self._done / (now - self._begin)))
            self._reference = self._time(self._steps_between)
        elif self._done < self._steps_per_window:
            return
        else:
            before, self._reference = self._reference, self._time(self._steps_between)
            self.ratios.append(2 * (now - self._begin) / self._done / (before + self._reference))
            enough = len(self.ratios) >= self.fewest and relative_error(self.ratios) < self.error
            trainer.should_stop = enough or len(self.ratios) >= self.most
        self._done, self._begin = 0, time.perf_counter()

    def _time(self, steps: int) -> float:
        """Seconds of a step of the plain loop."""
        begin = time.perf_counter()
        for _ in range(steps):
            next(self._steps)
        return (time.perf_counter() - begin) / steps


@dataclass(frozen=True)
class StepTime:
    """Time of a training step, in steps of a plain loop of its sizes."""

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
        clock = Windows(row.config, mean_length(data), FEWEST_WINDOWS, MOST_WINDOWS, ERROR)
        fit_with(clock, lasting, data, options)
    return StepTime(statistics.median(clock.ratios), relative_error(clock.ratios))


def mean_length(data: TaskData) -> int:
    """Mean length in time steps of the first training batches, the longer side of pairs of sentences."""
    longest = []
    for batch in itertools.islice(data.train_dataloader(), LOOKED_AT):
        parts = vars(batch).values() if is_dataclass(batch) else batch
        over_time = [part for part in parts if isinstance(part, Tensor) and part.shape[1:2] == (data.size(batch),)]
        longest.append(max(map(len, over_time)))
    return round(statistics.fmean(longest))


def relative_error(values: Sequence[float]) -> float:
    """Relative standard error of the median, from the distance of the quartiles, as of a normal distribution."""
    low, middle, high = statistics.quantiles(values, n=4)
    return 1.2533 * (high - low) / 1.349 / math.sqrt(len(values)) / middle
