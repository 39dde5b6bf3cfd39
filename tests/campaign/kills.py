"""Kills: a run or a grid dies anywhere, again and again; resumed, it ends bit for bit as an undisturbed one."""

import multiprocessing
import os
import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

from campaign import children
from campaign.ledger import Budget, Driver, Fault
from campaign.operations import Operations
from campaign.places import Place, Wrong, content, require_one_line
from campaign.runs import MINUTES, Suite, Undisturbed

MOST_KILLS = 3
"""Most times that one run is killed before it is left alone."""
GRID_EVERY = 6
"""One trial of this many is of a grid."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def kills(suite: Suite, seed: int, budget: Budget, driver: Driver) -> Iterator[None]:
    """Kill runs of all tasks, and grids of two runs."""
    for number in budget:
        generator = random.Random(f"kills {seed} {number}")
        place = suite.place()
        task = generator.choice(suite.tasks)
        is_grid = number % GRID_EVERY == GRID_EVERY - 1 and len(suite.tasks) > 1
        try:
            if is_grid:
                _grid(suite, generator, place, driver)
            else:
                _run(suite, task, generator, place, driver)
        except Wrong as wrong:
            kept = suite.keep(place.folder, f"kills-{seed}-{number}")
            kind = f"{'grid' if is_grid else task}: {wrong.kind}"
            driver.fail(Fault(kind, str(wrong), f"--seed {seed} --only kills --round {number}", kept))
        shutil.rmtree(place.folder)
        yield


def _run(suite: Suite, task: str, generator: random.Random, place: Place, driver: Driver) -> None:
    """Kill one run some times, resume it, and compare."""
    undisturbed = suite.undisturbed[task]
    for _ in range(generator.randint(1, MOST_KILLS)):
        function = suite.run(task, place, generator.choice(MINUTES))
        kind, ended = generator.choice(WAYS)(function, place, undisturbed, generator)
        if ended.code == 0:  # it was faster
            break
        driver.count(f"{task} {kind}")
    suite.require_equal(task, place, children.call(suite.run(task, place), place.log))
    _clean(suite, place)
    if (files := place.files()) != undisturbed.files:
        raise Wrong("leaves other files than an undisturbed run", f"{sorted(files ^ undisturbed.files)}")


def _clean(suite: Suite, place: Place) -> None:
    """Remove what the killed processes have left, by the command that is there for it."""
    words = ["clean", "--store", str(place.store), "--data", str(place.data), "--idle-minutes", "0"]
    ended = children.call(suite.command(words, place), place.log)
    if ended.code:
        raise Wrong(f"clean exits with {ended.code}", ended.output[-3000:])
    if left := place.half_made():
        raise Wrong("clean leaves half-made files", f"{left}")


def _at_a_moment(
    function: Callable[[], int], place: Place, undisturbed: Undisturbed, generator: random.Random
) -> tuple[str, children.Ended]:
    child = children.Child(function, place.log)
    if not child.wait(generator.uniform(0, 1.1 * undisturbed.seconds)):
        child.send(signal.SIGKILL)
    return "killed at a moment", _killed(child.end())


def _at_an_operation(
    function: Callable[[], int], place: Place, undisturbed: Undisturbed, generator: random.Random
) -> tuple[str, children.Ended]:
    last = generator.randint(1, undisturbed.operations)

    def counted() -> int:
        Operations(place.folder, last)
        return function()

    return "killed at an operation on files", _killed(children.call(counted, place.log))


def _at_a_byte(
    function: Callable[[], int], place: Place, undisturbed: Undisturbed, generator: random.Random
) -> tuple[str, children.Ended]:
    """A file that grows beyond a size ends the process after its last byte: the file is cut there."""
    size = generator.randint(1, undisturbed.largest)

    def limited() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return function()

    return "killed within a file", _killed(children.call(limited, place.log))


def _by_signal(
    function: Callable[[], int], place: Place, undisturbed: Undisturbed, generator: random.Random
) -> tuple[str, children.Ended]:
    number = generator.choice(list(CODES))
    child = children.Child(function, place.log)
    if not child.wait(generator.uniform(0.05, 1.1 * undisturbed.seconds)):
        child.send(number)
    ended = child.end()
    if ended.hung or ended.code not in (0, CODES[number], -number):
        raise Wrong(f"{signal.Signals(number).name} gives {ended.code}", ended.output[-3000:])
    if ended.code > 0:
        require_one_line(ended)
    return "ended by a signal", ended


Way = Callable[[Callable[[], int], Place, Undisturbed, random.Random], tuple[str, children.Ended]]
WAYS: tuple[Way, ...] = (_at_a_moment, _at_an_operation, _at_a_byte, _by_signal)
"""Ways to end a process: each gives its kind and the end."""


def _killed(ended: children.Ended) -> children.Ended:
    """The end of a process that is killed, unless it was faster.

    Raises:
        Wrong: it ended in another way.
    """
    if ended.hung or ended.code not in (0, -signal.SIGKILL, -signal.SIGXFSZ):
        raise Wrong(f"before it is killed, exits with {ended.code}", ended.output[-3000:])
    return ended


def _grid(suite: Suite, generator: random.Random, place: Place, driver: Driver) -> None:
    """Kill the driver or a worker of a grid of two runs, run it again, and compare."""
    tasks = sorted(generator.sample(suite.tasks, 2))
    words = ["reproduce", "--only", ",".join(tasks), "--seeds", "1", "--jobs", "2", "--threads", "1"]
    function = forking(suite.command([*words, *suite.where(place)], place))
    seconds = sum(suite.undisturbed[task].seconds for task in tasks)
    child = children.Child(function, place.log)
    if not child.wait(generator.uniform(0.1, 1.1) * seconds):
        of_worker = generator.random() < 0.5
        workers = child.children()
        target = generator.choice(workers) if of_worker and workers else child.process
        with suppress(ProcessLookupError):
            os.kill(target, signal.SIGKILL)
            driver.count(f"grid {'worker' if target != child.process else 'driver'} killed")
        ended = child.end()
        if target != child.process and ended.code:
            raise Wrong(f"a worker's end makes the grid exit with {ended.code}", ended.output[-3000:])
    else:
        child.end()
    if not children.gone(child.process, 10):
        raise Wrong("workers outlive their killed driver by 10 s")
    ended = children.call(function, place.log)
    if ended.hung or ended.code:
        raise Wrong(f"run again, exits with {ended.code}", ended.output[-3000:])
    expected = [suite.undisturbed[task].content[0] for task in tasks]  # type: ignore[index]
    if content(place) != expected:
        raise Wrong("another result than that of undisturbed runs", str(place.store))


def forking(function: Callable[[], int]) -> Callable[[], int]:
    """A command whose workers are forked too, since to start one anew takes five seconds."""

    def call() -> int:
        context = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda method=None: context  # type: ignore[assignment]
        return function()

    return call
