"""The command line, `rnnreg`: parses, calls a command, and turns every mistake of the user's into one line."""

import io
import logging
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from benchmark.commands import COMMANDS
from benchmark.commands.arguments import (
    Group,
    HelpFormatter,
    add_arguments,
    collect,
    docstring,
    options_given,
    refuse_empty,
)
from benchmark.commands.config_files import files_first, require_decimal
from benchmark.files import ADVICE
from benchmark.training.endings import Interrupted, complete_environment, signals_raised
from datamodules.errors import UserError, shortened

MISUSED = 2
"""Exit code of a command line that cannot be understood."""
FAILED = 1
READER_LEFT = 128 + signal.SIGPIPE

NUMBERS = {
    "PositiveInt": "a whole number >0",
    "NonNegativeInt": "a whole number >=0",
    "PositiveFloat": "a number >0",
    "NonNegativeFloat": "a number >=0",
    "OpenUnitInterval": "a number between 0 and 1",
}
"""Reader's words for jsonargparse's types of restricted numbers."""


TRACEBACK = "RNNREG_TRACEBACK"
"""Environment variable that, set to anything, shows the traceback of an error that nobody has foreseen."""

OUT_OF_MEMORY = ("DefaultCPUAllocator", "out of memory", "Storage size calculation overflowed")
"""What PyTorch says where there is not enough memory."""

LONGEST_WORD = 10_000
"""Most characters of a word on the command line: the parser recurses into what looks like JSON."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when the command has done its work, 2 when the command line cannot be understood, 130, 143 or 129 when
        interrupted, by Ctrl-C, SIGTERM or SIGHUP, 141 when the reader of its output ended first, otherwise the
        `exit_code` of the error that ended the command, which is 1 for most.
    """
    logging.basicConfig(format="rnnreg: %(message)s", level=logging.WARNING)
    logging.raiseExceptions = False  # a library that cannot write its log, on a full disk, is no cause for a traceback
    complete_environment()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that is not UTF-8 shows escapes
            stream.reconfigure(errors="backslashreplace")
    words = [_spelled(word) for word in (sys.argv[1:] if argv is None else argv)]
    try:
        with signals_raised():
            return _call(words)
    except UserError as error:
        return _fail(str(error), error.exit_code)
    except (Interrupted, KeyboardInterrupt) as stop:
        ending = Interrupted.of(stop)
        return _fail(str(ending), ending.exit_code)
    except Exception as error:  # whatever nobody has foreseen is one line too
        if isinstance(error, BrokenPipeError) and _reader_left():
            _give_up_output()
            return READER_LEFT
        if os.environ.get(TRACEBACK):
            raise
        return _fail(_unforeseen(error), FAILED)


def _call(words: Sequence[str]) -> int:
    """Parse the command line and call its command."""
    try:
        if (longest := max(map(len, words), default=0)) > LONGEST_WORD:
            raise UserError(f"a word on the command line has {longest:,} characters; at most {LONGEST_WORD:,} are read")
        words = [*words[:1], *files_first(words[1:])]
        parser, groups = _parser(words)
        parsed = parser.parse_args(words)
        values = vars(parsed[parsed.command])
        refuse_empty(COMMANDS[parsed.command], words)
        _refuse_null_characters(values)
        require_decimal(words, values)
    except (ArgumentError, UserError) as error:
        return _fail(_readable(str(error), words), MISUSED)
    except (RecursionError, ValueError, OverflowError) as error:  # nested too deeply, too large
        return _fail(f"the command line cannot be understood: {type(error).__name__}: {error}", MISUSED)
    try:
        with options_given(words):
            code = COMMANDS[parsed.command](**collect(values, groups))
    except SystemExit as error:  # a user's own module may call sys.exit()
        raise UserError(
            f"ended by sys.exit({error.code}) in code that it ran; what it was asked is not done"
        ) from error
    sys.stdout.flush()
    return code


def _refuse_null_characters(options: Mapping[str, object]) -> None:
    """Refuse what no name of a file and no word of a text can have, wherever on the command line or in a file it is.

    Raises:
        UserError: an option's value has a null character; the message names the option.
    """
    for name, value in options.items():
        if "\0" in str(value):
            shown = str(value).replace("\0", "\\0")
            raise UserError(f"--{name.replace('_', '-')}: {shown} has a null character; leave it out")


def _unforeseen(error: Exception) -> str:
    """An error of the machine, or of the suite, for the user."""
    if isinstance(error, OSError) and error.strerror:
        _give_up_output()  # if that is what cannot be written, Python's own try at the end would be a traceback
        advice = ADVICE.get(error.errno or 0)
        return f"{error.filename or 'output'}: {error.strerror}" + (f"; {advice}" if advice else "")
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return "out of memory; a smaller batch_size or hidden_size, or fewer --jobs, may help"
    places = traceback.extract_tb(error.__traceback__)
    place = f"{Path(places[-1].filename).name}:{places[-1].lineno}"
    return f"{type(error).__name__}: {error} (at {place}; set {TRACEBACK}=1 for the traceback)"


def _give_up_output() -> None:
    """Let Python's last flush of standard output go nowhere if it would fail."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        formatter_class=HelpFormatter,
    )
    printing_completion = words[:1] and words[0].startswith("--print_completion")
    subcommands = parser.add_subcommands(dest="command", metavar="COMMAND")
    groups: dict[str, Group] = {}
    for name, command in COMMANDS.items():
        text = docstring(command)
        sub = ArgumentParser(exit_on_error=False, description=text.description, formatter_class=HelpFormatter)
        if words[:1] == [name]:  # making a parser of each command takes longer than most commands
            groups = add_arguments(sub, command, words[1:])
        elif printing_completion:
            add_arguments(sub, command, [], suggesting=True)
        subcommands.add_subcommand(name, sub, help=text.short_description)
    return parser, groups


def _spelled(word: str) -> str:
    """An option in the spelling of its parameter, --hidden_size for --hidden-size, and ~ as shells expand it."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + os.path.expanduser(value)  # noqa: PTH111  not all are paths


def _fail(message: str, code: int) -> int:
    print(f"rnnreg: error: {shortened(' '.join(message.split()))}", file=sys.stderr)
    return code


REFUSED = re.compile(
    r'(?P<file>--config .+?: )?Parser key "(?:\w+\.)?(?P<name>\w+)": .*?'
    r"(?:Not of type (?P<number>\w+):|Expected a (?:<class '(?P<kind>\w+)'>|typing\.Literal(?P<choices>\[.*?\]))).*?"
    r"(?:value: ?(?P<given>.*)|: '(?P<quoted>(?:[^'\\]|\\.)*)'|"
    r"(?P<number_given>\S+) does not conform to restriction [^:]*)$"
)
"""jsonargparse's complaint about a value, on one line, after the file that has it. An option that may be left out is a
union with None; that half of the complaint is passed over, since nobody can type None."""


def _readable(message: str, words: Sequence[str]) -> str:
    """A parser's complaint in the words of the command line."""
    message = " ".join(message.split())
    if not (refused := REFUSED.match(message)):
        return message.replace(f"required: {''.join(words[:1])}.", "required: ")
    file, name, number, kind, choices, *values = refused.groups()
    expected = NUMBERS.get(number, number) if number else kind or f"one of {choices}"
    given = next((value for value in values if value), "nothing")
    is_option = f"--{name}" in (word.partition("=")[0] for word in words)
    return f"{file or '--' * is_option}{name}: expected {expected}, got {given}"
