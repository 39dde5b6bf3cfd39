"""The schedule of a benchmark: contenders take turns, round by round, each in a process of its own."""

import datetime
import math
import multiprocessing
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmark.formatting import count
from benchmark.speed.rounds import CONTENDERS, ROWS, WORDS, Round, config_of, environment, peak_flops, run_round
from benchmark.store.provenance import describe_commit, name_of_device
from benchmark.store.speeds import OURS, PLAIN, Case, Measurement, Speeds, name_of_peak
from benchmark.tasks.methods import METHODS
from benchmark.training.devices import follow_parent
from benchmark.training.options import Precision
from datamodules.errors import UserError

BESIDE = {"cpu": ((2, 1), (1, 2)), "cuda": ((1, 2), (1, 4), (1, 8))}
"""Threads of a process and processes side by side that are measured besides one of each, by device."""

Say = Callable[[str], None]


@dataclass
class Lanes:
    """Processes that train, one for each contender and place side by side, all of which wait while one works."""

    device: str
    stack: ExitStack
    pools: dict[tuple[str, int], ProcessPoolExecutor] = field(default_factory=dict)

    def call(self, contender: str, processes: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Do the same work in the processes of a contender at once.

        Raises:
            UserError: a process died.
        """
        lanes = range(processes)
        pools = [self.pools.get((contender, lane)) or self._start(contender, lane) for lane in lanes]
        _started(pools)  # all have started before any begins
        futures = [pool.submit(work, *arguments, self.device, lane) for lane, pool in zip(lanes, pools, strict=True)]
        try:
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise UserError(f"{contender}: its process was killed (out of memory?)") from error

    def start(self, contenders: Iterable[str]) -> None:
        """Start the processes of contenders at once, as each takes seconds to import what it needs."""
        _started([self._start(contender, 0) for contender in contenders])

    def _start(self, contender: str, lane: int) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start_process)
        self.pools[contender, lane] = self.stack.enter_context(pool)
        return pool


def _started(pools: Sequence[ProcessPoolExecutor]) -> None:
    """Wait until the process of each pool has started."""
    for one in [pool.submit(os.getpid) for pool in pools]:
        one.result()


def _start_process() -> None:
    follow_parent()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # progress bars and hints; what goes wrong is raised here
    os.dup2(nowhere, 2)


@contextmanager
def open_lanes(device: str) -> Iterator[Lanes]:
    """Processes that end with this block."""
    with ExitStack() as stack:
        yield Lanes(device, stack)


def of_loops(
    sizes: Sequence[str], precisions: Sequence[Precision], beside: Sequence[tuple[int, int]]
) -> list[list[Case]]:
    """Cases in groups, whose rounds are interleaved: all contenders alone, then OURS and PLAIN in other arrangements.

    All precisions of a size are in one group, since each is compared with the plain loop in float32: a machine is
    faster in one minute than in the next.
    """
    return [
        [
            Case(contender, size, precision, threads, processes)
            for precision in precisions
            for contender in (CONTENDERS if threads == processes == 1 else (OURS, PLAIN))
        ]
        for threads, processes in ((1, 1), *beside)
        for size in sizes
    ]


def of_methods(sizes: Sequence[str], precisions: Sequence[Precision]) -> list[list[Case]]:
    """A group for each size and precision: the suite with each method of the atlas, with the settings of its source."""
    return [
        [Case(OURS, size, precision, method=name) for name in METHODS] for size in sizes for precision in precisions
    ]


def measure(
    groups: Sequence[Sequence[Case]],
    device: str,
    rounds: int,
    seconds: float,
    command: Sequence[str],
    say: Say,
) -> Iterator[Speeds]:
    """Measure cases, and give what has been measured so far after each group, so that it can be kept.

    Args:
        groups: the cases; the rounds of those in a group take turns.
        device: cpu or cuda.
        rounds: rounds of each case.
        seconds: time of a round, beside its untimed steps; a round has at least one step.
        command: the command line, for the record.
        say: takes a line of progress.
    """
    peaks: dict[str, float] = {}
    measurements: list[Measurement] = []
    name, commit = name_of_device(torch.device(device)), describe_commit()
    with open_lanes(device) as lanes:
        lanes.start(dict.fromkeys(case.contender for group in groups for case in group))
        for group in groups:
            found = _measure_group(group, lanes, rounds, seconds, peaks)
            measurements += found
            for one in found:
                say(_line(one))
            yield Speeds(
                device=name,
                versions=lanes.call(OURS, 1, environment)[0],
                commit=commit,
                finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                command=shlex.join(command),
                peaks=dict(peaks),
                measurements=list(measurements),
            )


def _measure_group(
    group: Sequence[Case], lanes: Lanes, rounds: int, seconds: float, peaks: dict[str, float]
) -> list[Measurement]:
    """Measure cases whose rounds take turns, and raise the peaks of one process in products of matrices."""
    first = [_round(case, 1, lanes) for case in group]
    steps = [max(1, math.floor(seconds / one.seconds)) for one in first]
    found: list[list[Round]] = [[] for _ in group]
    of_peaks = {name_of_peak(case): case for case in reversed(group)}
    for _ in range(rounds):
        for name, case in of_peaks.items():
            peaks[name] = max(peaks.get(name, 0.0), *lanes.call(case.contender, 1, peak_flops, case))
        for case, number, taken in zip(group, steps, found, strict=True):
            taken.append(_round(case, number, lanes))
    return [_measurement(case, taken) for case, taken in zip(group, found, strict=True)]


def _round(case: Case, steps: int, lanes: Lanes) -> Round:
    """One round of a case, the mean over its processes."""
    taken: list[Round] = lanes.call(case.contender, case.processes, run_round, case, steps)
    return Round(sum(one.seconds for one in taken) / len(taken), max(one.memory for one in taken))


def _measurement(case: Case, rounds: Sequence[Round]) -> Measurement:
    config = config_of(ROWS[case.size])
    tokens = config.batch_size * config.unroll * case.processes
    weights = 8 * config.layers * config.hidden_size**2 + config.hidden_size * WORDS
    memory = max(one.memory for one in rounds)
    return Measurement(
        case=case,
        seconds=[one.seconds for one in rounds],
        tokens=tokens,
        flops=3 * 2.0 * weights * tokens,  # forward, and backward for inputs and for weights
        memory=0.0 if math.isnan(memory) else memory,
    )


def _line(one: Measurement) -> str:
    case = one.case
    how = f"{count(case.threads, 'thread')}" + (f", {case.processes} processes" * (case.processes > 1))
    what = case.method or case.contender
    return f"{case.size}, {case.precision}, {how}, {what}: {one.tokens_per_second:,.0f} tokens/s"
