"""What integration tests share: one tiny run through the command line, and one of each task."""

from pathlib import Path

import pytest
from support.factories import tiny_flags, tiny_rows
from support.trained import Trained

from benchmark.grid.grid import silent
from benchmark.store.records import Record, Store
from benchmark.training.options import Options
from benchmark.training.train import train


@pytest.fixture
def run_tiny(rnnreg, text_folder, tmp_path):
    """`rnnreg run ptb-small` on the tiny text; gives its record."""

    def call(*words: object) -> Record:
        flags = [
            "--store",
            tmp_path / "runs",
            "--wandb",
            "off",
            "--accelerator",
            "cpu",
            *tiny_flags(text_folder),
            *words,
        ]
        code, out, err = rnnreg("run", "ptb-small", *flags)
        assert code == 0, err
        path = Path(out.splitlines()[-1].removeprefix("record: "))
        return next(
            record
            for record in Store(tmp_path / "runs").records()
            if path == tmp_path / "runs" / record.run / "record.json"
        )

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of a tiny row of each task, the language model's with dropout, and one of tied and averaged weights."""
    folder = tmp_path_factory.mktemp("trained")
    rows = tiny_rows(folder)
    rows["language-modeling"] = rows["language-modeling"].variant("lm", dropout=0.3)
    rows["tied"] = rows["language-modeling"].variant("tied", tied=True, embedding_size=5, averaging="exponential")
    options = Options(data=folder / "data", store=folder / "runs", accelerator="cpu", threads=1, wandb="off")
    return Trained(folder, rows, {task: train(row, 1, options, progress=silent) for task, row in rows.items()})
