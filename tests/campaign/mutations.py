"""Files as hypothesis damages them: good ones with some edits, random ones, and what is no file at all."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Files = Mapping[str, bytes]
"""Name to content of the files of a folder."""

TOKENS = [
    b"", b"\0", b"\n", b"\r", b"\r\n", b"\t", b",", b'"', b'"" ', b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\xc3",
    b"\x1a",
    b"<eos>", b" <unk> ", b"..", b"/../", b"/", b"~", b"-1", b"0", b"1e999", b"NaN", b"Infinity", b"9" * 400, b"null",
    b"[]", b"{}", b"[" * 3000, b'{"a":' * 3000, b"\\u0000", b"\\ud800", b"e\xcc\x81", b"\xe2\x80\xa8",
    b"\xf0\x9f\x98\x80",
    "ความรู้".encode(), "日本語の文".encode(), b"a" * 3000, b"a " * 3000, b"\n" * 300, b"PK\x05\x06" + bytes(18),
    b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\xffWAVE", b"<svg", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"\x80\x04.",
]  # fmt: skip
"""Pieces that have broken readers before."""

INSTEAD = ("missing", "folder", "pipe", "loop", "unreadable name")
"""What may stand in a file's place."""


@dataclass(frozen=True)
class Edit:
    """One change of a file: `length` bytes at a place give way to others."""

    file: int
    place: float
    length: int
    piece: bytes

    def apply(self, content: bytes) -> bytes:
        """The changed content."""
        at = int(self.place * len(content))
        return content[:at] + self.piece + content[at + self.length :]


EDIT = st.builds(
    Edit,
    file=st.integers(0, 9),
    place=st.floats(0, 1),
    length=st.sampled_from([0, 0, 1, 1, 2, 4, 16, 300, 1 << 30]),
    piece=st.sampled_from(TOKENS) | st.binary(max_size=6),
)


@dataclass(frozen=True)
class Damage:
    """What is done to the files of a folder."""

    seed: int
    """Which of the good folders it begins with."""
    edits: tuple[Edit, ...]
    replaced: tuple[int, bytes] | None
    """A file that gets another content as a whole."""
    instead: tuple[int, str] | None
    """A file in whose place there is something else."""


DAMAGE = st.builds(
    Damage,
    seed=st.integers(0, 9),
    edits=st.lists(EDIT, max_size=4).map(tuple),
    replaced=st.none() | st.none() | st.none() | st.tuples(st.integers(0, 9), st.binary(max_size=60)),
    instead=st.none() | st.none() | st.none() | st.tuples(st.integers(0, 9), st.sampled_from(INSTEAD)),
)


def damaged_files(damage: Damage, seeds: Sequence[Files]) -> dict[str, bytes]:
    """The files of a folder after its edits."""
    files = dict(seeds[damage.seed % len(seeds)])
    names = sorted(files)
    for edit in damage.edits:
        name = names[edit.file % len(names)]
        files[name] = edit.apply(files[name])
    if damage.replaced:
        files[names[damage.replaced[0] % len(names)]] = damage.replaced[1]
    return files


def lay_out(folder: Path, files: Files, damage: Damage) -> None:
    """Make a folder anew with these files, and with what stands in the place of one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if damage.instead:
        path = folder / sorted(files)[damage.instead[0] % len(files)]
        path.unlink()
        MAKE[damage.instead[1]](path)


MAKE: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "loop": lambda path: path.symlink_to(path.name),
    "unreadable name": lambda path: Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff.png")).mkdir(),
}
