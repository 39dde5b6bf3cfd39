"""What integration tests share: one tiny run through the command line."""

from pathlib import Path

import pytest
from support.factories import tiny_flags

from benchmark.store.records import Record, Store


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
