"""Full disks: a run without room stops with a line, leaves nothing half-made, and goes on when there is room."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from campaign import children
from campaign.ledger import Budget, Driver, Fault
from campaign.places import Place, Wrong, require_one_line
from campaign.runs import MINUTES, Suite

ROOM = 256 << 20
"""Bytes of the file system once there is room."""
PAGE = 4096


def full_disks(suite: Suite, seed: int, budget: Budget, driver: Driver) -> Iterator[None]:
    """Train on file systems of every size up to what a run takes."""
    for number in budget:
        generator = random.Random(f"full disk {seed} {number}")
        place = suite.place()
        if refusal := _mount(place.folder, ROOM):
            print(f"full disks: skipped, as a tmpfs cannot be mounted here: {refusal}", flush=True)
            shutil.rmtree(place.folder)
            return
        task = suite.tasks[number % len(suite.tasks)]
        try:
            ending = _try(suite, task, place, generator)
            driver.count(ending)
        except Wrong as wrong:
            driver.trials += 1
            kept = suite.keep(place.folder, f"full-disk-{seed}-{number}")
            repeat = f"--seed {seed} --only disks --round {number}"
            driver.fail(Fault(f"{task}: {wrong.kind}", str(wrong), repeat, kept))
        finally:
            subprocess.run(["umount", "--lazy", place.folder], check=False)
            shutil.rmtree(place.folder)
        yield


def _try(suite: Suite, task: str, place: Place, generator: random.Random) -> str:
    """Train a run with too little room, and again with enough."""
    whole = suite.undisturbed[task].size // PAGE
    function = suite.run(task, place, generator.choice(MINUTES))
    _mount(place.folder, PAGE * generator.randint(4, 2 * whole), again=True)
    log = suite.folder / "full-disk.log"
    ended = children.call(function, log)
    if ended.hung or ended.code not in (0, 1):
        raise Wrong(f"without room, exits with {ended.code}", ended.output[-3000:])
    if ended.code:
        require_one_line(ended)
        if left := place.half_made():
            raise Wrong("without room, leaves half-made files", f"{left}; {ended.output[-500:]}")
    _mount(place.folder, ROOM, again=True)
    suite.require_equal(task, place, children.call(function, log))
    return "stopped, resumed and right" if ended.code else "had room"


def _mount(folder: Path, size: int, *, again: bool = False) -> str:
    """Mount a tmpfs, or give it another size; the refusal if it cannot be."""
    options = f"{'remount,' * again}size={size}"
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr else ""
