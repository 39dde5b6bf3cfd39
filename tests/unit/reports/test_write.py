"""Files that are made from records are written as a whole or not at all."""

import errno
from pathlib import Path

import pytest

from benchmark.reports.write import write
from datamodules.errors import UserError


def test_a_full_disk_leaves_a_readme_as_it_was(tmp_path: Path, monkeypatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a user's own words\n")

    def half(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text.encode(encoding)[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(UserError, match=r"cannot write to .*README.md: No space left"):
        write({readme: "a user's own words\n\nand a table\n"})
    assert readme.read_text() == "a user's own words\n"
    assert list(tmp_path.iterdir()) == [readme]


def test_files_are_written_where_they_differ_and_links_stay(tmp_path: Path) -> None:
    same, link, new = tmp_path / "same.md", tmp_path / "README.md", tmp_path / "new" / "table.md"
    same.write_text("as it is")
    (tmp_path / "elsewhere.md").write_text("before")
    link.symlink_to("elsewhere.md")
    assert write({same: "as it is", link: "after", new: "table"}) == [link, new]
    assert link.is_symlink()
    assert ((tmp_path / "elsewhere.md").read_text(), new.read_text()) == ("after", "table")
