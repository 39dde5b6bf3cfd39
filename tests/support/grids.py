"""A small grid whose trainings can be made to fail, run by drivers in processes of their own."""

import fcntl
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from benchmark.cli import main
from benchmark.store.locks import RunLock
from benchmark.store.records import Record, Store
from support.factories import TINY

ROOT = Path(__file__).parents[2]

ROWS_FILE = """
import fcntl
import os
import signal
from dataclasses import replace
from pathlib import Path

from benchmark.tasks import language_modeling
from models.backbone import RegularizedLSTM


class Fated(RegularizedLSTM):
    '''Notes each training that begins; in its 60th step it fails if a file beside this one says so, once.

    In its 200th step, which is in the second epoch, it waits while a test holds the gate.
    '''

    steps = 0

    def forward(self, inputs, state=None):
        self.steps += self.training
        here = Path(__file__).parent
        if self.steps == 1 and self.training:
            with (here / "begun").open("a") as file:
                file.write(f"{os.getpid()}\\n")
        if self.steps == 60 and self.training:
            for fate in sorted(here.glob("fate-*")):
                try:
                    fate.unlink()
                except FileNotFoundError:
                    continue  # another process met it
                if fate.name == "fate-kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError("met a fate")
        if self.steps == 200 and self.training:
            with (here / "gate").open("w") as gate:
                fcntl.flock(gate, fcntl.LOCK_SH)
        return super().forward(inputs, state)


TINY = language_modeling.PTB_SMALL.variant("tiny", source=TEXT, backbone=f"{__name__}.Fated", **OVERRIDES)
ROWS = [TINY, TINY.variant("tiny-dropout", dropout=0.2)]
"""


class Grid:
    """Rows with so many seeds each, in a folder of their own."""

    def __init__(self, folder: Path, rows: str = "tiny,tiny-dropout", seeds: int = 2) -> None:
        self.folder, self.store, self.rows, self.seeds = folder, folder / "runs", rows, seeds
        folder.mkdir()
        overrides = {**TINY, "epochs": 4, "flat_epochs": 3}
        code = ROWS_FILE.replace("TEXT", repr(str(folder.parent / "text"))).replace("**OVERRIDES", f"**{overrides!r}")
        (folder / "fated_rows.py").write_text(code)

    def words(self, *words: object) -> list[str]:
        common = ["--only", self.rows, "--seeds", self.seeds, "--rows-file", self.folder / "fated_rows.py"]
        where = ["--store", self.store, "--wandb", "off", "--accelerator", "cpu", "--threads", 1]
        return ["reproduce", *map(str, (*common, *where, *words))]

    def start(self, *words: object) -> "subprocess.Popen[str]":
        """Start a driver in a process of its own."""
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([sys.executable, "-m", "benchmark", *self.words(*words)], cwd=ROOT, **pipes)

    def run(self, *words: object, code: int = 0) -> str:
        """Run a driver to its end, in this process, which has everything imported; give what it printed."""
        sys.modules.pop("fated_rows", None)  # that of another grid
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            ended = main(self.words(*words))
        assert ended == code, printed.getvalue()
        return printed.getvalue()

    def fate(self, name: str) -> None:
        (self.folder / f"fate-{name}").touch()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep runs from ending: each waits in its second epoch."""
        with (self.folder / "gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    @property
    def begun(self) -> int:
        """Number of trainings that were begun; a resumed one counts again."""
        return len((self.folder / "begun").read_text().splitlines())

    def wait_for_progress(self, driver: "subprocess.Popen[str]") -> None:
        """Wait until a run has finished its first epoch."""
        for _ in range(15000):
            if any(json.loads(path.read_text())["epoch"] >= 1 for path in self.store.glob(".under-way/*.json")):
                return
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.02)  # the state of another process: there is nothing to wait on
        raise AssertionError("no run got anywhere")

    @property
    def results(self) -> dict[tuple[str, int], tuple]:
        """The parts of the records that do not depend on time and place."""
        return {(record.row, record.seed): self._content(record) for record in Store(self.store).records()}

    @staticmethod
    def _content(record: Record) -> tuple:
        timing = {"seconds", "throughput"}
        curve = [{name: value for name, value in epoch.items() if name not in timing} for epoch in record.curve]
        return record.metrics, curve, record.log_probabilities_sha256, record.fingerprint, record.data_sha256

    def assert_nothing_is_locked(self) -> None:
        for path in (self.store / ".under-way").glob("*.lock"):
            row, seed, fingerprint = re.fullmatch(r"(.+)-seed-(\d+)-(\w{8})\.lock", path.name).groups()
            assert not RunLock(self.store, row, int(seed), fingerprint).is_held
