"""Where commands may not write."""

from pathlib import Path

import pytest

from benchmark.commands.outputs import refuse_lost
from datamodules.errors import UserError


@pytest.mark.parametrize("link", ["none", "symbolic", "hard", "of the folder"])
def test_nothing_is_written_over_what_is_read_by_whatever_link(link: str, tmp_path: Path) -> None:
    real, given = tmp_path / "real", tmp_path / "given"
    real.mkdir()
    (real / "test.txt").write_text("a dog runs")
    if link == "of the folder":
        given.mkdir()
        (given / "part").symlink_to(real)
    elif link == "none":
        given.symlink_to(real)
    else:
        given.mkdir()
        (given / "test.txt").symlink_to(real / "test.txt") if link == "symbolic" else (given / "test.txt").hardlink_to(
            real / "test.txt"
        )
    with pytest.raises(UserError, match=r"--output .*test\.txt: would be written over what is read from .*given"):
        refuse_lost("--output", real / "test.txt", [given])
    (tmp_path / "other.txt").write_text("old results")
    refuse_lost("--output", tmp_path / "other.txt", [given, None, tmp_path / "missing"])
    refuse_lost("--output", tmp_path / "new.txt", [given])
