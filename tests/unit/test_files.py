"""Files are written as a whole or not at all, wherever a command writes them."""

import ast
import os
from pathlib import Path

import pytest
from PIL import Image

from benchmark.files import asked_for, write_text
from benchmark.reports.contact_sheets import save
from datamodules.errors import UserError

BENCHMARK = Path(__file__).parents[2] / "benchmark"
ELSEWHERE = {
    "grid/grid.py: log.write_text",  # a traceback, of which half is better than nothing
    "reports/outcome.py: Path(summary).open",  # GitHub's file, to which others append as well
    "speed/rounds.py: (folder / f'{name}.txt').write_text",  # in a scratch folder
    "speed/rounds.py: Path('/proc/self/clear_refs').write_text",
    "tracking/logger.py: self.path.open",  # a log, which is appended to
}
"""Places that write in another way, and why."""


def writes(call: ast.Call) -> bool:
    """Whether a call writes to a path."""
    if not isinstance(call.func, ast.Attribute):
        return False
    mode = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else "r"
    return call.func.attr in ("write_text", "write_bytes") or (call.func.attr == "open" and str(mode)[:1] in "wxa")


def test_only_scratch_files_are_written_to() -> None:
    """Their content takes the place of a file once it is whole; see replacing and asked_for."""
    found = set()
    for path in BENCHMARK.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and writes(node)]
        found |= {f"{path.relative_to(BENCHMARK)}: {ast.unparse(call.func)}" for call in calls}
    assert {place for place in found if ": scratch." not in place} == ELSEWHERE


def write_half(path: Path) -> None:
    with asked_for(path) as scratch:
        scratch.write_text("hal")
        raise KeyboardInterrupt


def test_half_a_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "items.tsv"
    write_text(path, "before")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


def test_links_pipes_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]
    with pytest.raises(UserError, match="cannot write to /dev/full: No space left on device"):
        write_text(Path("/dev/full"), "text")


def test_a_picture_is_of_the_format_of_its_name(tmp_path: Path) -> None:
    for name, kind in (("a.png", "PNG"), ("b.JPG", "JPEG")):
        save(Image.new("RGB", (3, 2)), tmp_path / name)
        assert Image.open(tmp_path / name).format == kind
    with pytest.raises(UserError, match=r"cannot write .*c.nope: no such format; the format is that of the name"):
        save(Image.new("RGB", (3, 2)), tmp_path / "c.nope")
