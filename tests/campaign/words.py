"""The command line as a target of the fuzzers: any words end with a documented code, and in one line if not with 0."""

import inspect
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, get_origin

from hypothesis import strategies as st

from benchmark import cli
from benchmark.commands.arguments import _annotation
from benchmark.reports import check, contact_sheets, page, write  # noqa: F401  imported once, here
from benchmark.tasks import registry
from campaign import good
from campaign.fuzz import Target, Unpromised, place_of
from campaign.places import shape
from datamodules import sources
from datamodules.errors import DataError
from datamodules.language_modeling.sources import PENN_TREEBANK, STATE_OF_THE_UNION

CODES = {0, 1, 2}
"""Exit codes of a command that nobody interrupts; see docs/use.md."""

TRAINING = ("reproduce", "check", "benchmark", "dashboard", "gallery")
"""Commands that are parsed and not called: they train, or reach a server."""

PLACES = ["runs", "empty", "none/at/all", "file.txt", "picture.svg", "rows.py", "options.yaml", "loop", "damaged"]
"""Paths that a command line may name, all of them in its folder."""

ROWS_FILE = """\
from benchmark.tasks.language_modeling import PTB_SMALL

ROWS = [PTB_SMALL.variant("tiny")]
"""

WORDS = [
    "", "-", "--", "=", "0", "1", "2", "-1", "1.5", "1e999", "nan", "inf", "9" * 30, "0x10", "true", "null", "None",
    "1_000",
    "show", "update", "add", "list", "fetch", "verify", "quick", "paper", "cpu", "gpu", "32", "off", "all", "en", "fr",
    PENN_TREEBANK.name, STATE_OF_THE_UNION.name, "ptb-small", "scenes-dropout", "sotu-small", "tiny",
    "a,b", ",", ",,", "[1, 2]", "[" * 500, "{" * 500, '{"a": 1}', "- a: &b [*b]", "!!python/object:os.system", "é",
    "e\u0301",
    "日本", "\u202e", "\x1b[31m", "\ud800", "\0", "a b", "  ", "\n", "'", '"', "%s", "{}", "$HOME", "@file.txt",
    "a" * 300,
    "a" * 20_000, "--help", "--store", "--seed", "--print_config", "--config",
]  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A command line and its standard input."""

    words: tuple[str, ...]
    stdin: bytes = b""


def options_of(command: Callable[..., int]) -> list[str]:
    """The names of a command's options."""
    names = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind, _ = _annotation(command, name)
        if is_dataclass(kind):
            names += [f"--{field.name}" for field in fields(kind)]
        elif get_origin(kind) not in (list, tuple) and parameter.default is not parameter.empty:
            names.append(f"--{name.replace('_', '-')}")
    return [*names, "--config"]


PATHS = {
    f"--{name}"
    for name in [
        "store",
        "output",
        "data",
        "into",
        "rows-file",
        "baseline",
        "junit",
        "readme",
        "features",
        "draw",
        "markdown",
        "page",
        "against",
        "config",
    ]
}
"""Options that take a path, which mostly get one."""
POSITIONALS = {
    "run": ("ptb-small", "scenes-dropout", "multi30k-words", "espeak-en", "tiny"),
    "sample": ("tiny", "ptb-small"),
    "translate": ("tiny", "multi30k-words"),
    "caption": ("picture.svg", "file.txt", "loop", "none"),
    "data": ("list", "fetch", "verify"),
    "baseline": ("show", "update", "add"),
    "verify": ("runs", "damaged", "empty", "file.txt", "loop"),
    "compare": ("runs", "damaged", "file.txt", "tiny", "ptb-small@HEAD", "tiny/seed-1"),
    "evaluate": ("tiny", "ptb-small"),
    "export": ("tiny", "ptb-small"),
}
"""Words after the name of a command, which it mostly gets."""
ANY = st.sampled_from(WORDS) | st.text(st.characters(exclude_characters="/~."), max_size=8)


@st.composite
def lines(draw: Any) -> Line:
    """A command with options, most of which it has."""
    name = draw(st.sampled_from([*cli.COMMANDS, *cli.COMMANDS, "", "nope", "--help"]))
    known = options_of(cli.COMMANDS[name]) if name in cli.COMMANDS else []
    if name == "run":
        known += [f"--{field.name}" for field in fields(registry.ROWS[0].config)]
    words = [name] if name else []
    if name in POSITIONALS and draw(st.integers(0, 5)):
        words.append(draw(st.sampled_from(POSITIONALS[name])))
    for option in draw(st.lists(st.sampled_from([*known, *known, "", "--nope"]), max_size=4)):
        given = draw(st.sampled_from(PLACES) if option in PATHS and draw(st.integers(0, 4)) else ANY)
        words += [given] if not option else [f"{option}={given}"] if draw(st.booleans()) else [option, given]
    stdin = draw(st.sampled_from([b"", b"a dog sees\n", b"\xff\n", b"\0", b"a" * 5000])) if name == "translate" else b""
    return Line(tuple(words), stdin)


def check_line(line: Line, folder: Path) -> str:
    """Call the command line in a folder with places for it.

    Raises:
        Unpromised: it ends with another code, or says why otherwise than in one line.
    """
    _prepare(folder)
    out, err = _stream(), _stream()
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(line.stdin)), out, err
    try:
        code: object = cli.main(line.words)
    except SystemExit as end:  # as --help ends
        code = end.code or 0
    except Exception as error:
        raise Unpromised(f"a traceback: {place_of(error)}", str(error)[:1000]) from error
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    said = _text(err)
    errors = [one for one in said.splitlines() if one.startswith("rnnreg: error: ")]
    if code not in CODES:
        raise Unpromised(f"exits with {code}", said[-1000:])
    is_finding = code == 1 and line.words[:1] == ("verify",) and not errors
    if code and not is_finding and (len(errors) != 1 or not said.endswith("\n") or said.splitlines()[-1] != errors[0]):
        raise Unpromised(f"exits with {code} without one line: {shape(said)}", said[-2000:])
    if "Traceback (most recent call last)" in said or "RNNREG_TRACEBACK" in said:
        raise Unpromised(f"an error that nobody has foreseen: {shape(errors[-1].partition(' (at ')[2])}", said[-2000:])
    return f"code {code}"


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    written: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return written.decode(errors="replace")


_ready: set[int] = set()


def _prepare(folder: Path) -> None:
    """Make the folder anew; in this process commands that train do nothing, and downloads are refused."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chdir(folder)
    for name in ("empty", "runs/tiny/seed-1-aaaaaaaa", "damaged/tiny/seed-1-aaaaaaaa", ".under-way"):
        (folder / name).mkdir(parents=True)
    for name, content in good.record()[0].items():
        (folder / "runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "runs" / name).write_bytes(content)
    (folder / "damaged/tiny/seed-1-aaaaaaaa/record.json").write_text("{")
    (folder / "damaged/tiny/seed-1-aaaaaaaa/last.ckpt").write_text("PK")
    (folder / "file.txt").write_text("one\n")
    (folder / "picture.svg").write_bytes(good.SVG)
    (folder / "rows.py").write_text(ROWS_FILE)
    (folder / "options.yaml").write_text("rows_file: rows.py\nstore: runs\n")
    (folder / "loop").symlink_to("loop")
    if os.getpid() in _ready:
        return
    _ready.add(os.getpid())
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), XDG_CACHE_HOME=str(folder / "cache"), WANDB_MODE="offline")
    tempfile.tempdir = str(folder)
    for name in TRAINING:
        cli.COMMANDS[name] = _does_nothing(cli.COMMANDS[name])
    from benchmark.training import train

    train.train = _refuse
    sources.SourceFile.download = _refuse  # type: ignore[method-assign]


def _does_nothing(command: Callable[..., int]) -> Callable[..., int]:
    @wraps(command)  # with its parameters and its docstring, of which the parser is made
    def nothing(**_: object) -> int:
        return 0

    return nothing


def _refuse(*_: object, **__: object) -> Any:
    raise DataError("a campaign trains and downloads nothing")


COMMAND_LINE = [Target("command line", lines(), check_line, examples=200)]
