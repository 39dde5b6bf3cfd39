"""The command line, `rnnreg`: parses, calls a command, and turns every mistake of the user's into one line."""

import logging
import os
import re
import select
import signal
import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from benchmark.commands import COMMANDS
from benchmark.commands.arguments import Group, add_arguments, collect, docstring
from datamodules.errors import UserError

MISUSED = 2
"""Exit code of a command line that cannot be understood."""
INTERRUPTED = 128 + signal.SIGINT
READER_LEFT = 128 + signal.SIGPIPE

NUMBERS = {
    "PositiveInt": "a whole number >0",
    "NonNegativeInt": "a whole number >=0",
    "PositiveFloat": "a number >0",
    "NonNegativeFloat": "a number >=0",
    "OpenUnitInterval": "a number between 0 and 1",
}
"""Reader's words for jsonargparse's types of restricted numbers."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when the command has done its work, 2 when the command line cannot be understood, 130 when interrupted, 141
        when the reader of its output ended first, otherwise the `exit_code` of the error that ended the command, which
        is 1 for most.
    """
    logging.basicConfig(format="rnnreg: %(message)s", level=logging.WARNING)
    logging.raiseExceptions = False  # a library that cannot write its log, on a full disk, is no cause for a traceback
    words = [_underscored(word) for word in (sys.argv[1:] if argv is None else argv)]
    try:
        parser, groups = _parser(words)
        parsed = parser.parse_args(words)
    except (ArgumentError, UserError) as error:
        return _fail(_readable(str(error), words), MISUSED)
    try:
        code = COMMANDS[parsed.command](**collect(vars(parsed[parsed.command]), groups))
        sys.stdout.flush()
        return code
    except UserError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        kept = "interrupted; finished runs and the last epoch of the others are kept; rerun the same command to resume"
        return _fail(kept, INTERRUPTED)
    except BrokenPipeError:
        if not _reader_left():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
        return READER_LEFT


def _reader_left() -> bool:
    """Whether nobody reads the output any more, as after `| head`."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _parser(words: Sequence[str]) -> tuple[ArgumentParser, dict[str, Group]]:
    """The parser of all commands, and the grouped options of the command that is called."""
    set_parsing_settings(add_print_completion_argument=True)
    parser = ArgumentParser(
        prog="rnnreg",
        description="Recurrent Neural Network Regularization (arXiv:1409.2329), reproduced.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    printing_completion = words[:1] and words[0].startswith("--print_completion")
    subcommands = parser.add_subcommands(dest="command", metavar="COMMAND")
    groups: dict[str, Group] = {}
    for name, command in COMMANDS.items():
        text = docstring(command)
        sub = ArgumentParser(exit_on_error=False, description=text.description)
        if words[:1] == [name]:  # making a parser of each command takes longer than most commands
            groups = add_arguments(sub, command, words[1:])
        elif printing_completion:
            add_arguments(sub, command, [], suggesting=True)
        subcommands.add_subcommand(name, sub, help=text.short_description)
    return parser, groups


def _underscored(word: str) -> str:
    """An option in the spelling of its parameter: --hidden-size is --hidden_size."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _fail(message: str, code: int) -> int:
    print(f"rnnreg: error: {' '.join(message.split())}", file=sys.stderr)
    return code


REFUSED = re.compile(
    r'Parser key "(?:\w+\.)?(?P<name>\w+)": .*?'
    r"(?:Not of type (?P<number>\w+):|Expected a (?:<class '(?P<kind>\w+)'>|typing\.Literal(?P<choices>\[.*?\]))).*?"
    r"(?:value: ?(?P<given>.*)|: '(?P<quoted>.*)'|(?P<number_given>\S+) does not conform to restriction [^:]*)$"
)
"""jsonargparse's complaint about a value, on one line. An option that may be left out is a union with None; that
half of the complaint is passed over, since nobody can type None."""


def _readable(message: str, words: Sequence[str]) -> str:
    """A parser's complaint in the words of the command line."""
    message = " ".join(message.split())
    if not (refused := REFUSED.match(message)):
        return message.replace(f"required: {''.join(words[:1])}.", "required: ")
    name, number, kind, choices, *values = refused.groups()
    expected = NUMBERS.get(number, number) if number else kind or f"one of {choices}"
    given = next((value for value in values if value), "nothing")
    is_option = f"--{name}" in (word.partition("=")[0] for word in words)
    return f"{'--' * is_option}{name}: expected {expected}, got {given}"
