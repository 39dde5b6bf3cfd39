"""Text as users have it: one way to decode it, to cut it into lines and cells, and to follow the names in it."""

import codecs
import csv
import gzip
import html
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from html.entities import html5
from pathlib import Path, PurePosixPath
from typing import IO, Any

from datamodules.bounds import LINE_CHARACTERS, LIST_ROWS, NESTING, TEXT_BYTES
from datamodules.errors import DataError, UserError, counted, damaged, in_one_line, require_file
from datamodules.mistaken import refuse_mistaken

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # which begins as the mark of UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by the byte order mark that a file begins with; without one it is UTF-8."""
LONGEST_MARK = max(map(len, _MARKS))
LONGEST_NAME = 255
"""Most bytes in the name of a file, of which no system allows more."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_UNDECODED = re.compile("[\udc80-\udcff]")
_ENTITY = re.compile(r"&(?:[a-z][a-z0-9]*|(#)(?:[0-9]+|x[0-9a-f]+));", re.IGNORECASE)
"""A character as HTML writes it, such as `&amp;` or `&#39;`."""
_NO_TEXT = re.compile("[\0\ufffe]")
"""Characters that no text has, but one that is read in another encoding than its own."""
_MARK = "\ufeff"
"""The byte order mark as a character: where files are joined, each may begin with one."""


def decode_lines(file: IO[bytes], place: Path | str) -> Iterator[str]:
    r"""Lines of a text without their ends, in Unicode's normal form C, with or without byte order marks.

    A line ends at \n, \r\n or \r and nowhere else. A mark at the start of any line is dropped, and refused within one.
    The text is streamed.

    Args:
        file: the open file.
        place: its name in messages.

    Raises:
        DataError: it is not UTF-8 and has no mark of another encoding, a mark is within a line, a line is too long, or
            the file breaks off; the message names the line.
    """
    number = 0
    with damaged(lambda: f"{place}, after line {number}"):
        buffered: Any = file if hasattr(file, "peek") else io.BufferedReader(file)
        encoding = _encoding(buffered.peek(LONGEST_MARK))
        reader = io.TextIOWrapper(buffered, encoding, errors="surrogateescape" if "8" in encoding else "strict")
        while line := reader.readline(LINE_CHARACTERS.most + 2):
            number += 1
            _require_text(line, f"{place}, line {number}")
            if undecoded := _UNDECODED.search(line):
                at = len(line[: undecoded.start()].encode()) + 1
                raise DataError(
                    f"{place}, line {number}: not UTF-8 (0x{ord(undecoded[0]) - 0xDC00:02x} at its byte {at}); "
                    "save it as UTF-8"
                )
            if len(line) > LINE_CHARACTERS.most + 1:
                LINE_CHARACTERS.refuse(f"{place}, line {number}")
            if line := line.lstrip(_MARK):  # a mark alone, at the end, is no line
                _require_no_mark(line, f"{place}, line {number}")
                yield composed(line.removesuffix("\n"))
        reader.detach()


def decode(content: bytes, place: Path | str) -> str:
    """A text that is not read by lines, in Unicode's normal form C, with or without byte order marks.

    Raises:
        DataError: it is not UTF-8 and has no mark of another encoding, or a mark is within a line; the message names
            the line.
    """
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{place}, line {number}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    _require_text(text, place)
    text = re.sub(rf"(?<![^\r\n]){_MARK}+", "", text)
    for number, line in enumerate(text.split("\n") if _MARK in text else (), 1):
        _require_no_mark(line, f"{place}, line {number}")
    return composed(text)


def lines_of(text: str) -> list[str]:
    r"""The lines of a text that is no file, by the rules of files: see decode_lines.

    Raises:
        UserError: it is no string.
        DataError: a line has a character that no text has, or a byte order mark within it.
    """
    _require_string(text)
    lines = [line.lstrip(_MARK) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    for number, line in enumerate(lines, 1):
        _require_text(line, f"line {number}")
        _require_no_mark(line, f"line {number}")
    return lines if lines[-1] or len(lines) == 1 else lines[:-1]


def composed(text: str) -> str:
    """A text in Unicode's normal form C, as every reader gives it, so that equal words are equal strings.

    Raises:
        UserError: it is no string.
    """
    _require_string(text)
    return unicodedata.normalize("NFC", text)


def without_entities(text: str) -> str:
    """A text with the characters in place of their entities of HTML, such as `&` for `&amp;`, composed."""
    return composed(_ENTITY.sub(_character, text)) if "&" in text else text


def _character(entity: re.Match[str]) -> str:
    """The character of an entity; one that HTML does not know stays as it is."""
    return html.unescape(entity[0]) if entity[1] == "#" or entity[0][1:] in html5 else entity[0]


def _require_string(text: object) -> None:
    if not isinstance(text, str):
        raise UserError(f"a text is of type {type(text).__name__}, must be a string; join several lines with \\n")


def _require_text(text: str, place: Path | str) -> None:
    """Refuse characters that no text has.

    Raises:
        DataError: there is one; the message says what the file may be.
    """
    if found := _NO_TEXT.search(text):
        raise DataError(
            f"{place}: has the character U+{ord(found[0]):04X}, as UTF-16 or UTF-32 without a byte order mark has, or "
            "a file that is no text; save it as UTF-8"
        )


def _require_no_mark(line: str, place: Path | str) -> None:
    """Refuse a byte order mark within a line, which nobody sees and which would make another word of a word.

    Raises:
        DataError: there is one; the message says what the file may be.
    """
    if at := line.find(_MARK) + 1:
        raise DataError(
            f"{place}: has a byte order mark (U+FEFF) as its character {at}, as where files are joined that do not end "
            "with the end of a line; put one there, or remove the mark"
        )


def _encoding(start: bytes) -> str:
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


@contextmanager
def opened(path: Path, right: str = "") -> Iterator[IO[bytes]]:
    """Open a plain or a .gz file for reading.

    Raises:
        DataError: it is missing or cannot be opened; the message says what would be right.
    """
    with ExitStack() as stack:
        require_file(path, right)
        try:
            file: Any = stack.enter_context(gzip.open(path) if path.suffix == ".gz" else path.open("rb"))  # noqa: SIM115
        except FileNotFoundError:
            raise DataError(f"{path} is missing{'; ' if right else ''}{right}") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({in_one_line(error)})") from error
        yield file


def read_lines(path: Path, right: str = "") -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line of a list that is not blank.

    Raises:
        DataError: it is missing, not text, or too long.
    """
    with opened(path, right) as file:
        for number, line in enumerate(decode_lines(file, path), 1):
            LIST_ROWS.check(number, path)
            if line.strip():
                yield number, line


def read_text(path: Path, right: str = "") -> list[str]:
    """All lines of a text that is read whole.

    Raises:
        DataError: it is missing, not text, or too large.
    """
    with opened(path, right) as file:
        if path.is_file():
            TEXT_BYTES.check(path.stat().st_size, path)
        lines: list[str] = []
        for line in decode_lines(file, path):
            if path.suffix == ".gz" and file.tell() > TEXT_BYTES.most:  # the size of the file is not that of its text
                TEXT_BYTES.refuse(path)
            lines.append(line)
        return lines


def parse_json(content: bytes | str, place: Path | str, right: str = "") -> Any:
    """The value of JSON text, bounded in its nesting.

    Raises:
        DataError: it is no JSON, is nested too deeply, or has a key twice in one object.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(f"{place}: the key {twice!r} is there twice in one object; give each key once")
        return value

    with damaged(place, right, "not JSON"):
        text = content if isinstance(content, str) else decode(content, place)
        if _deeper(_brackets(text)) and _deeper(_brackets(_STRING.sub("", text))):  # strings may feign them
            NESTING.refuse(place)
        try:
            return json.loads(text, object_pairs_hook=once)
        except json.JSONDecodeError:
            refuse_mistaken(text, place)
            raise


def read_json(path: Path, right: str = "") -> Any:
    """The value of a JSON file.

    Raises:
        DataError: it is missing, too large, no JSON, is nested too deeply, or has a key twice in one object.
    """
    with opened(path, right) as file, damaged(path, right):
        TEXT_BYTES.check(path.stat().st_size, path)
        blocks, length = list[bytes](), 0
        while block := file.read(1 << 20):
            blocks.append(block)
            if (length := length + len(block)) > TEXT_BYTES.most:  # of a .gz, see read_text
                TEXT_BYTES.refuse(path)
        return parse_json(b"".join(blocks), path, right)


def _brackets(text: str) -> bytes:
    return re.sub(rb"[^\[\]{}]+", b"", text.encode())


def _deeper(brackets: bytes) -> bool:
    """Whether brackets are nested more deeply than is read; each turn takes the innermost level away."""
    for _ in range(NESTING.most):
        if (fewer := brackets.replace(b"[]", b"").replace(b"{}", b"")) == brackets:
            return False  # empty, or not in pairs, which the parser will say
        brackets = fewer
    return bool(brackets)


def cells(line: str, delimiter: str) -> tuple[list[str], bool]:
    """The cells of one line of a table, and whether a lone quotation mark was taken as it is written.

    Cells may be quoted, as spreadsheets do; a line never runs on into the next one.
    """
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True)), False
    except (csv.Error, StopIteration):
        return line.split(delimiter), True


def inside(folder: Path, name: str, place: str) -> Path:
    """The path of a file that a list names, which lies in the list's folder.

    Raises:
        DataError: the name leads out of the folder, or is too long for one.
    """
    parts = PurePosixPath(name)
    if not name or parts.is_absolute() or ".." in parts.parts or "\0" in name:
        raise DataError(f"{place}: {name!r} leads out of {folder}; names in a list stay inside its folder")
    if len((longest := max(parts.parts, key=len, default="")).encode(errors="replace")) > LONGEST_NAME:
        raise DataError(f"{place}: {longest[:20]}... is too long for the name of a file")
    return folder / name


def note_lone_marks(path: Path, numbers: Sequence[int]) -> list[str]:
    """A note on lines of a list in which a lone quotation mark was taken as it is written; none for no line."""
    if not numbers:
        return []
    lines = counted(len(numbers), "line", "has", "have")
    return [f"{path.name}: {lines} a lone quotation mark, read as it is written, such as line {numbers[0]}"]
