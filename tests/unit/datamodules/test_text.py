"""Text as users have it: decoded in one way, cut into lines in one way, named by file and line where it is damaged."""

import codecs
import gzip
import json
import os
from pathlib import Path

import pytest

from datamodules import bounds, text
from datamodules.errors import DataError, damaged
from datamodules.text import cells, inside, parse_json, read_json, read_lines, read_text

WORDS = ["né à Ångström", "a\u2028b\x85c\x0bd", "", "한국 का"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_text_is_the_same_however_it_was_saved(tmp_path: Path, end: str, mark: bytes, encoding: str) -> None:
    content = mark + "".join(word + end for word in WORDS).encode(encoding)
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    assert read_text(tmp_path / "a.txt") == read_text(tmp_path / "a.gz") == WORDS
    assert [number for number, _ in read_lines(tmp_path / "a.txt")] == [1, 2, 4]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_that_are_joined_lose_the_mark_of_each(tmp_path: Path, encoding: str, end: str) -> None:
    parts = (f"a b{end}", f"c{end}", f"{end}d{end}", "")
    (tmp_path / "a").write_bytes(b"".join(part.encode(encoding) for part in parts))
    assert read_text(tmp_path / "a") == ["a b", "c", "", "d"]
    assert text.decode((tmp_path / "a").read_bytes(), "a") == "".join(parts)


def test_a_mark_within_a_line_is_refused(tmp_path: Path) -> None:
    """As the last word of one file and the first of the next would be one word, to the eye and to the model."""
    (tmp_path / "a").write_bytes(b"the dog\nthe cat" + "sat\n".encode("utf-8-sig"))
    message = r"a, line 2: has a byte order mark \(U\+FEFF\) as its character 8, as where files are joined that do not"
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / "a")
    with pytest.raises(DataError, match=message):
        text.decode((tmp_path / "a").read_bytes(), "a")


def test_text_that_is_no_file_has_the_same_lines() -> None:
    assert text.lines_of("a\u2028b\x85c\r\nd\re\n\nf\n") == ["a\u2028b\x85c", "d", "e", "", "f"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_other_encodings_without_their_mark_are_refused(tmp_path: Path, encoding: str) -> None:
    """Their bytes are valid UTF-8, in which every letter has a null character beside it."""
    content = '{\n"the cat": 1}\n'.encode(encoding)
    (tmp_path / "a").write_bytes(content)
    message = r"a(, line 1)?: has the character U\+0000, as UTF-16 or UTF-32 without .* has, .*; save it as UTF-8"
    for read in (read_text, read_json, lambda path: list(read_lines(path))):
        with pytest.raises(DataError, match=message):
            read(tmp_path / "a")


def test_joined_files_of_two_byte_orders_are_refused(tmp_path: Path) -> None:
    parts = [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")]
    (tmp_path / "a").write_bytes(b"".join(mark + "the cat\n".encode(name) for mark, name in parts))
    with pytest.raises(DataError, match=r"a, line 2: has the character U\+FFFE"):
        read_text(tmp_path / "a")


def test_decomposed_letters_are_composed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("e\u0301te\u0301 \u212b")
    assert read_text(tmp_path / "a") == ["\u00e9t\u00e9 \u00c5"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\rb\xffd\n", r"a, line 2: not UTF-8 \(0xff at its byte 2\); save it as UTF-8"),
        ("é".encode() + b"\xed\xa0\x80", r"a, line 1: not UTF-8 \(0xed at its byte 3\)"),
        (b"short\n" + b"x" * 200, r"a, line 2: more than 100 characters in a line"),
        (codecs.BOM_UTF16_LE + b"a\0b", r"a, after line 0: cannot be read \('utf-16"),
    ],
)
def test_what_is_no_text_is_named_by_line(tmp_path: Path, content: bytes, message: str, monkeypatch) -> None:
    monkeypatch.setattr(text, "LINE_CHARACTERS", bounds.Bound(100, "characters in a line"))
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / "a")


def test_an_archive_of_noise_a_folder_and_a_pipe_are_one_line(tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(3000).hex().encode())
    (tmp_path / "flipped.gz").write_bytes(whole[:500] + bytes([whole[500] ^ 255]) + whole[501:])
    (tmp_path / "noise.gz").write_bytes(b"noise")
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("flipped.gz", "after line 0: cannot be read"),
        ("noise.gz", "after line 0: cannot be read"),
        ("pipe", "pipe is not a file; right"),
        ("", "is not a file"),
        ("nothing", "nothing is missing; right"),
    ):
        with pytest.raises(DataError, match=message):
            list(read_lines(tmp_path / name, "right"))


def test_bounds_are_in_the_message(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a").write_text("1\n2\n3\n")
    monkeypatch.setattr(text, "LIST_ROWS", bounds.Bound(2, "lines in a list"))
    monkeypatch.setattr(text, "TEXT_BYTES", bounds.Bound(5, "bytes of text", "it is read whole"))
    with pytest.raises(DataError, match="a: 3 lines in a list; at most 2 are read"):
        list(read_lines(tmp_path / "a"))
    with pytest.raises(DataError, match=r"a: 6 bytes of text; at most 5 are read \(it is read whole\)"):
        read_text(tmp_path / "a")


def test_an_archive_is_bounded_by_what_it_holds(tmp_path: Path, monkeypatch) -> None:
    """Eighty times the bound in a file that is smaller, of which no more is read than the bound and a buffer."""
    monkeypatch.setattr(text, "TEXT_BYTES", bounds.Bound(100_000, "bytes of text", "it is read whole"))
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"the cat\n" * 12_500))
    assert len(read_text(tmp_path / "a.gz")) == 12_500
    read, whole = [], text.decode_lines

    def counted(file, place):
        for line in whole(file, place):
            read.append(line)
            yield line

    monkeypatch.setattr(text, "decode_lines", counted)
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"the cat\n" * 1_000_000))
    assert (tmp_path / "a.gz").stat().st_size < 100_000
    with pytest.raises(DataError, match=r"a.gz: more than 100,000 bytes of text, which is the most that is read"):
        read_text(tmp_path / "a.gz")
    assert len(read) <= 12_501
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"[" + b"1," * 100_000 + b"1]"))
    with pytest.raises(DataError, match=r"a.gz: more than 100,000 bytes of text"):
        read_json(tmp_path / "a.gz")


def test_json_is_bounded_in_its_nesting_but_not_in_what_strings_hold() -> None:
    value = {"a": [1, {"b": "[" * 5000 + '\\"{{{'}], "c": "]"}
    assert parse_json(codecs.BOM_UTF8 + json.dumps(value).encode(), "x") == value
    assert parse_json("[" * 64 + "]" * 64, "x")
    for deep in ("[" * 65 + "]" * 65, '{"a":' * 100_000 + "1" + "}" * 100_000):
        with pytest.raises(DataError, match="x: more than 64 levels of brackets in JSON"):
            parse_json(deep, "x")
    for broken in ("[" * 100_000, "{", "", "1" * 10_000, b"\xff"):
        with pytest.raises(DataError, match=r"^x"):
            parse_json(broken, "x")


def test_a_key_that_is_there_twice_is_refused() -> None:
    """Of which the parser would take the last, and drop what is under the first."""
    assert parse_json('{"a": {"b": 1}, "b": {"b": 2, "a": {}}}', "x") == {"a": {"b": 1}, "b": {"b": 2, "a": {}}}
    for double in ('{"a": 1, "b": 2, "b": 2}', '[{"b": {}, "a": 1, "b": []}]', '{"a": {"b": 1, "\\u0062": 2}}'):
        with pytest.raises(DataError, match=r"^x: the key 'b' is there twice in one object; give each key once$"):
            parse_json(double, "x")


def test_a_missing_json_file_says_what_is_right(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x.json is missing; put one there"):
        read_json(tmp_path / "x.json", "put one there")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('a.jpg,"A dog, running"', (["a.jpg", "A dog, running"], False)),
        ('a.jpg,"A ""big"" dog"', (["a.jpg", 'A "big" dog'], False)),
        ('a.jpg,A "big" dog', (["a.jpg", 'A "big" dog'], False)),
        ('"a,b.jpg",A dog', (["a,b.jpg", "A dog"], False)),
        ('a.jpg,"A dog', (["a.jpg", '"A dog'], True)),
        ('a.jpg,"A" dog', (["a.jpg", '"A" dog'], True)),
    ],
)
def test_cells_of_a_line_stand_for_themselves(line: str, expected: tuple[list[str], bool]) -> None:
    assert cells(line, ",") == expected


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a\0b", ""])
def test_names_in_lists_never_lead_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"list, line 3: .* leads out of"):
        inside(tmp_path, name, "list, line 3")


def test_names_in_lists_may_have_dots(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b..c.wav", "list") == tmp_path / "a" / "b..c.wav"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RecursionError("maximum recursion depth"), "f.txt: cannot be read (maximum recursion depth); right"),
        (MemoryError(), "f.txt: cannot be read (it needs more memory than there is); right"),
        (KeyError("images"), "f.txt: cannot be read ('images' is missing); right"),
        (OSError(28, "No space left on device"), "f.txt: cannot be read (No space left on device); right"),
        (ValueError("two\nlines"), "f.txt: cannot be read (two); right"),
        (ZeroDivisionError(), "f.txt: cannot be read (ZeroDivisionError); right"),
        (DataError("said already"), "said already"),
    ],
)
def test_any_exception_of_a_reader_is_one_line(error: Exception, message: str) -> None:
    with pytest.raises(DataError) as caught, damaged("f.txt", "right"):
        raise error
    assert str(caught.value) == message


def test_a_name_that_no_file_system_allows_is_refused_by_line(tmp_path) -> None:
    with pytest.raises(DataError, match=r"list.tsv, line 1: a{20}\.\.\. is too long for the name of a file"):
        inside(tmp_path, "a" * 300, "list.tsv, line 1")
