"""Fuzzers by hypothesis: readers and the command line get anything, in bounds of time and memory, without network."""

import json
import os
import random
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded

from campaign import children
from campaign.ledger import Budget, Driver, Fault
from campaign.runs import Suite

EXAMPLES = 400
"""Inputs of one round, which a process of its own reads."""
CPU_SECONDS, WALL_SECONDS = 15, 120
"""Most time that one input may take."""
MEMORY = 1 << 30
"""Bytes by which one input may make the process grow."""
SHRINKING = 60.0
"""Seconds after a process that hangs is given up."""


class NetworkUsed(BaseException):
    """Somebody has tried to reach a network."""


class TooSlow(BaseException):
    """An input takes too long."""


class Unpromised(Exception):
    """An end that was not promised: hypothesis looks for the smallest input that has it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


@dataclass(frozen=True)
class Target:
    """Something that is given anything.

    Its `check` raises Unpromised, or gives a few words about the ending.
    """

    name: str
    strategy: Any
    """Hypothesis's strategy of its inputs."""
    check: Callable[[Any, Path], str]
    """Reads an input, which it lays out in the folder."""
    examples: int = EXAMPLES
    weight: int = 1


def fuzz(targets: list[Target]) -> Callable[[Suite, int, Budget, Driver], Iterator[None]]:
    """A driver that fuzzes targets in turn."""
    turns = [target for target in targets for _ in range(target.weight)]

    def rounds(suite: Suite, seed: int, budget: Budget, driver: Driver) -> Iterator[None]:
        limit = {} if budget.rounds is None else {"examples": max(4, EXAMPLES // 40)}
        for number in budget:
            _round(turns[number % len(turns)], suite, (seed, number), driver, **limit)
            yield

    return rounds


def _round(target: Target, suite: Suite, which: tuple[int, int], driver: Driver, examples: int | None = None) -> None:
    """Give a target some inputs in a process of its own, and count how they ended."""
    place = suite.place()
    folder, found, kept = place.folder / "input", place.folder / "found.json", place.folder / "kept"
    seed = random.Random(f"fuzz {target.name} {which}").randrange(1 << 32)
    known = {kind for kind in driver.faults if kind.startswith(f"{target.name}: ")}

    def try_all() -> int:
        try_inputs(target, folder, kept, known, seed, examples or target.examples).write(found)
        return 0

    ended = children.call(try_all, place.log, seconds=WALL_SECONDS + SHRINKING + target.examples)
    endings = json.loads(found.read_text()) if found.exists() else {"endings": {}, "faults": []}
    for ending, count in endings["endings"].items():
        driver.count(ending, count)
    faults = endings["faults"]
    if ended.code or ended.hung:
        ending = "hangs" if ended.hung else f"ends its process with {ended.code}"
        faults.append((f"{target.name}: {ending}", ended.output[-3000:]))
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):
            folder.rename(kept)
    for kind, message in faults:
        driver.trials += 1
        copy = suite.keep(kept, f"{driver.name}-{which[0]}-{which[1]}") if kept.exists() else None
        driver.fail(Fault(kind, message, f"--seed {which[0]} --only {driver.name} --round {which[1]}", copy))
    shutil.rmtree(place.folder)


class Findings:
    """How inputs ended, in the process that tries them."""

    def __init__(self) -> None:
        self.endings: dict[str, int] = {}
        self.faults: list[tuple[str, str]] = []

    def write(self, path: Path) -> None:
        """Tell the campaign."""
        path.write_text(json.dumps({"endings": self.endings, "faults": self.faults}))


def try_inputs(target: Target, folder: Path, kept: Path, known: set[str], seed: int, examples: int) -> Findings:
    """Give a target inputs, and keep the smallest that has a fault which is not known yet."""
    bound_process()
    findings = Findings()

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @given(target.strategy)
    def check(value: Any) -> None:
        try:
            ending = bounded(lambda: target.check(value, folder))
        except Unpromised as fault:
            kind = f"{target.name}: {fault.kind}"
            if kind in known:
                ending = "known fault"
            else:
                shutil.rmtree(kept, ignore_errors=True)
                if folder.exists():
                    folder.rename(kept)
                else:
                    kept.mkdir()
                (kept / "input.txt").write_text(f"{value!r}\n{fault}\n", errors="backslashreplace")
                raise
        findings.endings[ending] = findings.endings.get(ending, 0) + 1

    try:
        check()
    except Unpromised as fault:
        findings.faults.append((f"{target.name}: {fault.kind}", fault.message[:3000]))
    return findings


def bound_process() -> None:
    """Forbid this process to use a network, and more memory than any input should take."""

    def refuse(*_: object, **__: object) -> None:
        raise NetworkUsed

    socket.getaddrinfo = refuse  # type: ignore[assignment]
    connect = socket.socket.connect
    socket.socket.connect = lambda self, address: (  # type: ignore[method-assign]
        connect(self, address) if self.family == socket.AF_UNIX else refuse()
    )
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * MEMORY, used + 4 * MEMORY))

    def slow(number: int, frame: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGPROF, slow)
    signal.signal(signal.SIGALRM, slow)


def bounded(function: Callable[[], str]) -> str:
    """Call a function within the bounds.

    Raises:
        Unpromised: it takes too long or too much memory, or uses a network.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
    try:
        ending = function()
    except TooSlow:
        raise Unpromised("takes too long", f"more than {CPU_SECONDS} s of CPU or {WALL_SECONDS} s") from None
    except NetworkUsed:
        raise Unpromised("uses a network", "") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if grown > MEMORY:
        raise Unpromised("takes too much memory", f"{grown >> 20:,} MB")
    return ending


def place_of(error: BaseException) -> str:
    """The exception and the place in the suite where it came from, by which equal faults are known."""
    trace, place = error.__traceback__, ""
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if {"benchmark", "datamodules", "models"} & set(path.parts) and "site-packages" not in path.parts:
            place = f"{path.name}:{trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} in {place}" if place else type(error).__name__


def silence() -> None:
    """Let standard output and error of this process go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
