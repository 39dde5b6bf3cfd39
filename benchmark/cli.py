"""The command line, `rnnreg`: parses, calls a command, and turns every mistake of the user's into one line."""

import inspect
import logging
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from benchmark.commands import check, dashboard, data, gallery, generate, reproduce, results
from benchmark.tasks import registry
from benchmark.tasks.base import Config, Row
from benchmark.training.options import Options
from benchmark.training.train import Interrupted
from datamodules.errors import UserError

COMMANDS: dict[str, Callable[..., int]] = {
    "list": reproduce.list_rows,
    "run": reproduce.run,
    "reproduce": reproduce.reproduce,
    "table": results.table,
    "report": results.report,
    "claims": results.claims,
    "check": check.check,
    "baseline": check.baseline,
    "dashboard": dashboard.dashboard,
    "collect": results.collect,
    "sample": generate.sample,
    "translate": generate.translate,
    "caption": generate.caption,
    "gallery": gallery.gallery,
    "data": data.data,
}

FLAGS = {
    "check": "write nothing; fail when a file is stale",
    "dry_run": "run nothing: say what would be run, and about how long it takes, from records of such runs",
    "sync": "first upload the runs that were logged offline",
    "trained": "train nothing: compare what the store has",
}
"""Parameters of commands that are given or not, without a value."""

NUMBERS = {
    "PositiveInt": "a whole number >0",
    "NonNegativeInt": "a whole number >=0",
    "PositiveFloat": "a number >0",
    "NonNegativeFloat": "a number >=0",
    "OpenUnitInterval": "a number between 0 and 1",
}
"""What jsonargparse's types of restricted numbers are to a reader."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when it did what it was asked, 1 when it could not, 2 when it was asked wrongly, 130 when interrupted, 141
        when what reads its output ended first; of `check`, 1 when a metric has moved and 2 when that could not be
        decided.
    """
    logging.basicConfig(format="rnnreg: %(message)s", level=logging.WARNING)
    logging.raiseExceptions = False  # a library that cannot write its log, on a full disk, is no cause for a traceback
    argv = [_underscored(word) for word in (sys.argv[1:] if argv is None else argv)]
    try:
        row = _row_of(argv)
        parsed = _parser(row).parse_args(argv)
    except (ArgumentError, UserError) as error:
        return _fail(_readable(str(error)), 2)
    try:
        code = _call(COMMANDS[parsed.subcommand], vars(parsed[parsed.subcommand]), row)
        sys.stdout.flush()
        return code
    except UserError as error:
        could_not = 2 if parsed.subcommand == "check" else 1
        return _fail(_readable(str(error)), 130 if isinstance(error, Interrupted) else could_not)
    except KeyboardInterrupt:
        return _fail(
            "interrupted; finished runs and the last epoch of the others are kept: the same command goes on", 130
        )
    except BrokenPipeError:
        if not _reader_left():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
        return 128 + signal.SIGPIPE


def _reader_left() -> bool:
    """Whether nobody reads any more what is printed, as after `| head`."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _parser(row: Row | None) -> ArgumentParser:
    """The parser of all commands; `run` takes every field of the configuration of its row."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="rnnreg",
        description="Recurrent Neural Network Regularization (arXiv:1409.2329), reproduced.",
        exit_on_error=False,
    )
    subcommands = parser.add_subcommands(metavar="COMMAND")
    for name, function in COMMANDS.items():
        summary = (inspect.getdoc(function) or "").split("\n\nArgs:")[0]
        sub = ArgumentParser(exit_on_error=False, description=summary)
        by_hand: set[str | int] = {*FLAGS, "options", "overrides", "action", "names", "images"}
        sub.add_function_arguments(
            function, skip=by_hand & set(inspect.signature(function).parameters), as_group=False, as_positional=True
        )
        for flag in sorted(FLAGS.keys() & inspect.signature(function).parameters.keys()):
            sub.add_argument(f"--{flag}", action="store_true", help=FLAGS[flag])
        if name == "caption":
            sub.add_argument("images", nargs="+", type=Path, help="picture files, SVG among them")
        if name == "baseline":
            sub.add_argument("action", nargs="?", default="show", choices=["show", "update"], help="what to do")
        if name == "data":
            sub.add_argument(
                "action", nargs="?", default="list", choices=["list", "fetch", "verify"], help="what to do"
            )
            sub.add_argument("names", nargs="*", default=[], help="of the sources; all if none is given")
        if "options" in inspect.signature(function).parameters:
            sub.add_class_arguments(Options, as_group=False)
        if name == "check":
            sub.set_defaults(store=Path("runs/check"))
        if name == "run" and row:
            sub.add_class_arguments(_with_defaults(row.config))
        subcommands.add_subcommand(name, sub, help=summary.splitlines()[0])
    return parser


def _call(function: Callable[..., int], values: dict[str, Any], row: Row | None) -> int:
    if "options" in inspect.signature(function).parameters:
        values["options"] = Options(**{field.name: values.pop(field.name) for field in fields(Options)})
    if "overrides" in inspect.signature(function).parameters and row:
        values["overrides"] = {field.name: values.pop(field.name) for field in fields(row.config)}
    return function(**values)


def _row_of(argv: Sequence[str]) -> Row | None:
    """The row that `run` is asked for: what its other options are depends on it."""
    if argv[:1] != ["run"] or len(argv) < 2 or argv[1].startswith("-"):
        return None
    given = [
        word.partition("=")[2] or following
        for word, following in zip(argv, [*argv[1:], ""], strict=True)
        if word.startswith("--rows_file")
    ]
    return registry.find(argv[1], registry.load(Path(given[0]) if given else None))


def _with_defaults(config: Config) -> type:
    """The configuration's class with this configuration's values as defaults, for the parser to read."""
    own = [(item.name, item.type, field(default=getattr(config, item.name))) for item in fields(config)]
    return make_dataclass(
        type(config).__name__,
        own,
        bases=(type(config),),
        frozen=True,
        kw_only=True,
        namespace={"__doc__": "The row's configuration."},
    )


def _underscored(word: str) -> str:
    """--hidden-size is --hidden_size."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _fail(message: str, code: int) -> int:
    print(f"rnnreg: error: {message}", file=sys.stderr)
    return code


def _readable(message: str) -> str:
    """A message on one line, a parser's in the words of the command line."""
    message = re.sub(r"(are required: )(?:\w+\.)?", r"\1", " ".join(message.split()))
    message = re.sub(r'^Parser key "(?:\w+\.)?(\w+)": ', r"--\1: ", message)
    # An option that may be left out is a union with None, which nobody can type.
    message = re.sub(
        r"Does not validate against any of the Union.* Errors: - (.*) - Expected a <class 'NoneType'>.* Given value: ",
        r"\1. Got value: ",
        message,
    )
    message = re.sub(
        rf"Not of type ({'|'.join(NUMBERS)}): (?:.*Got value: |.*: ')?(.*?)'?(?: does not conform.*)?$",
        lambda found: f"expected {NUMBERS[found[1]]}, got {found[2]}",
        message,
    )
    message = re.sub(r"<class '(\w+)'>", r"\1", message.replace("typing.Literal", "one of "))
    return re.sub(r"Expected an? (.+)\. Got value: ?(.*)$", r"expected \1, got \2", message)
