"""From a command's signature to its options, and from their values back to the command's arguments.

A command is a function whose annotations, defaults and docstring are all that its parser is made of:

- A parameter without a default is a positional argument, and so is one annotated `Annotated[T, POSITIONAL]`; a list or
  a tuple takes several words.
- A `bool`, also as a field of a dataclass, is a flag without a value, which --no_NAME turns off.
- A dataclass gives one option for each of its fields; the parameter's default gives their defaults.
- A parameter annotated `Annotated[T, FieldsOf(find)]` gives one option for each field of the instance that `find`
  returns for other arguments of the same command, and takes them as a dictionary.
- Every other parameter is an option with a value.

`Annotated[T, Suggestions(words)]` besides gives the words that shell completion offers for a parameter.

Every command has besides `--config FILE` and `--print_config`, see benchmark/commands/config_files.py.
"""

import argparse
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from docstring_parser import Docstring, DocstringStyle, google, parse_from_object
from jsonargparse import ActionYesNo, ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from benchmark.commands.config_files import PRINT, ConfigFile, ReadAsText, config_files
from benchmark.tasks import registry
from benchmark.training.options import Options
from datamodules.errors import UserError

POSITIONAL = "positional"
"""Marks a parameter that is a positional argument although it has a default."""
MAY_BE_EMPTY = "may be empty"
"""Marks an option that means something of its own with an empty value."""

_GIVEN: ContextVar[tuple[str, ...]] = ContextVar("given", default=())
"""Names of the options on the command line, as often as they are there; those of a file are its business."""


@dataclass(frozen=True)
class FieldsOf:
    """Marks a parameter that takes the fields of a dataclass instance which other arguments decide."""

    find: Callable[..., Any]
    """Gives the instance. Its parameters are named as the command's, and take the words as given."""

    def instance(self, words: Sequence[str], files: Sequence[ConfigFile] = ()) -> Any:
        """The instance for the words of a command and its files, None as long as they lack an argument of `find`.

        Raises:
            UserError: they lack one, and a file is to be read or printed, which may have any field.
        """
        positional, options = _split(words)
        given = {name: word for file in files for name, word in file.words.items()} | options
        found: dict[str, str] = {}
        for name, parameter in inspect.signature(self.find).parameters.items():
            if parameter.default is parameter.empty and positional:
                found[name] = positional.pop(0)
            elif name in given:
                found[name] = given[name]
            elif parameter.default is parameter.empty:
                if files or any(word.startswith(PRINT) for word in words):
                    raise UserError(f"the following arguments are required: {name}")
                return None
        return self.find(**found)


@dataclass(frozen=True)
class Suggestions:
    """Marks a parameter for which shell completion offers words; any other word is allowed too."""

    words: Callable[[], Iterable[str]]


RowName = Annotated[str, Suggestions(lambda: (row.name for row in registry.ROWS))]
"""Name of a row of the suite, or of a user's own."""


@dataclass(frozen=True)
class Group:
    """Options that together are one argument of a command."""

    make: Callable[..., Any]
    """Makes the argument, from the options' values by name."""
    names: tuple[str, ...]
    """Names of the options."""


class HelpFormatter(DefaultHelpFormatter):
    """Help texts with their defaults, where there are any, and without types of Python."""

    def _get_help_string(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._HelpAction):
            return "Show this help message and exit."
        has_default = action.option_strings and action.default not in (None, argparse.SUPPRESS, {})
        return f"{action.help or ''}{' (default: %(default)s)' if has_default else ''}"


def add_arguments(
    parser: ArgumentParser, command: Callable[..., int], words: Sequence[str], *, suggesting: bool = False
) -> dict[str, Group]:
    """Add a command's arguments to its parser.

    Args:
        parser: the parser of the command.
        command: the function.
        words: the command line after the command's name, on which the options of `FieldsOf` depend.
        suggesting: whether the parser prints a script of shell completion, instead of parsing.

    Returns:
        The parameters that are made of several options, for `collect`.
    """
    set_parsing_settings(docstring_parse_style=DocstringStyle.GOOGLE, docstring_parse_attribute_docstrings=True)
    texts = {entry.arg_name: entry.description for entry in docstring(command).params}
    files = config_files(words)
    groups = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind, marks = _annotation(command, name)
        default, text = parameter.default, texts.get(name)
        if is_dataclass(kind) or any(isinstance(mark, FieldsOf) for mark in marks):
            groups[name] = _add_group(parser, kind, marks, default, words, files)
        elif kind is bool:
            parser.add_argument(f"--{name}", action=ActionYesNo, default=default, help=text)
        else:
            is_positional = default is parameter.empty or POSITIONAL in marks
            how = _positional(kind, default) if is_positional else {"type": kind, "default": default}
            action = parser.add_argument(name if is_positional else f"--{name}", help=text, **how)
            for mark in marks if suggesting else ():
                if isinstance(mark, Suggestions):
                    action.choices = list(mark.words())
    parser.add_argument("--config", action=ReadAsText, help="YAML file of options; the command line overrides it.")
    for file in files:
        file.check(parser)
    return groups


def collect(values: Mapping[str, Any], groups: Mapping[str, Group]) -> dict[str, Any]:
    """The arguments of a command, from the values of its options."""
    taken = {"config", *(name for group in groups.values() for name in group.names)}
    made = {name: group.make(**{field: values[field] for field in group.names}) for name, group in groups.items()}
    return {**{name: value for name, value in values.items() if name not in taken}, **made}


@contextmanager
def options_given(words: Iterable[str]) -> Iterator[None]:
    """Let `refuse_unused` and `listed` know the options that stand on the command line, from its words."""
    names = (word.lstrip("-").partition("=")[0] for word in words if word.startswith("--"))
    token = _GIVEN.set(tuple(name.removeprefix("no_") for name in names))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def refuse_unused(command: Callable[..., int], mode: str, **values: object) -> None:
    """Refuse options that a mode of a command has no use for, and that would be ignored in silence.

    Args:
        command: the command, whose defaults tell what was asked for.
        mode: the mode as the user chose it, such as --speed.
        values: the options' values, by their names.

    Raises:
        UserError: one of them is not its default, or stands on the command line.
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}
    for kind in filter(is_dataclass, list(defaults.values())):
        defaults |= {field.name: getattr(kind, field.name) for field in fields(kind)}
    if unused := [name for name, value in values.items() if value != defaults[name] or name in _GIVEN.get()]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise UserError(f"{options}: of no use {mode}; leave {'it' if len(unused) == 1 else 'them'} out")


def refuse_empty(command: Callable[..., int], words: Sequence[str]) -> None:
    """Refuse an option whose value is empty, as that of an unset variable of a shell is, which would be its default.

    Raises:
        UserError: there is one that is not marked MAY_BE_EMPTY; the message names the option.
    """
    for word, following in zip(words, (*words[1:], None), strict=True):
        option, equals, value = word.partition("=")
        is_empty = not value if equals else following == ""
        if word.startswith("--") and is_empty:
            hint = get_type_hints(command, include_extras=True).get(option.removeprefix("--"))
            if MAY_BE_EMPTY not in getattr(hint, "__metadata__", ()):
                raise UserError(
                    f"{option}: is empty, as an unset variable of the shell is; give a value, or leave it out"
                )


def listed(option: str, words: str) -> list[str]:
    """The words of an option that are separated by commas, with or without spaces, in their order.

    Raises:
        UserError: one is given twice, there is nothing between two commas, or the option is there again, which would
            take the place of the first one in silence.
    """
    if _GIVEN.get().count(option.removeprefix("--")) > 1:
        raise UserError(f"{option} is given more than once; give it once, with commas between what it names")
    found = [word.strip() for word in words.split(",")]
    if not all(found):
        raise UserError(f"{option} {words!r}: expected words separated by commas, found nothing between two of them")
    if twice := [word for word in found if found.count(word) > 1]:
        raise UserError(f"{option}: {twice[0]} is given twice; name it once")
    return found


def docstring(command: Callable[..., int]) -> Docstring:
    """A command's docstring, by its parts."""
    return google.parse(command.__doc__ or "")


def _annotation(command: Callable[..., int], name: str) -> tuple[Any, tuple[Any, ...]]:
    """The type of a parameter, and the marks that `Annotated` adds to it."""
    hint = get_type_hints(command, include_extras=True)[name]
    marks = getattr(hint, "__metadata__", ())
    return (get_args(hint)[0] if marks else hint), marks


def _add_group(
    parser: ArgumentParser,
    kind: Any,
    marks: Sequence[Any],
    default: Any,
    words: Sequence[str],
    files: Sequence[ConfigFile],
) -> Group:
    """Add one option for each field of a dataclass; where there is an instance, it gives their defaults."""
    instance = None if default is inspect.Parameter.empty else default
    sources = [mark for mark in marks if isinstance(mark, FieldsOf)]
    if sources and (instance := sources[0].instance(words, files)) is None:
        return Group(dict, ())
    chosen: Any = kind if instance is None else type(instance)
    names = tuple(field.name for field in fields(chosen))
    defaults = {} if instance is None else {name: getattr(instance, name) for name in names}
    flags = {name for name, value in defaults.items() if isinstance(value, bool)}
    others = {name: value for name, value in defaults.items() if name not in flags}
    parser.add_class_arguments(chosen, as_group=bool(sources), default=others, skip=set(flags))
    for name in sorted(flags, key=names.index):
        parser.add_argument(f"--{name}", action=ActionYesNo, default=defaults[name], help=_texts(chosen).get(name))
    for action in parser._actions:
        if action.dest in defaults:  # the class may have none for it
            action.required = False
    return Group(dict if sources else chosen, names)


@cache
def _texts(kind: type) -> dict[str, str | None]:
    """The docstrings of a dataclass's fields, of which it may have some from a class above it."""
    above = [one for one in reversed(kind.__mro__) if is_dataclass(one)]
    return {entry.arg_name: entry.description for one in above for entry in parse_from_object(one).params}


def _positional(kind: Any, default: Any) -> dict[str, Any]:
    """The keywords of `add_argument` for a positional argument."""
    required = default is inspect.Parameter.empty
    given = {} if required else {"default": default}
    if get_origin(kind) in (list, tuple):
        return {"type": get_args(kind)[0], "nargs": "+" if required else "*", **given}
    return {"type": kind, **({} if required else {"nargs": "?"}), **given}


def _split(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The positional words, and the options with their values, which flags do not have."""
    positional, options = [], {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            has_value = not (equals or word == PRINT or _is_flag(name)) and rest and not rest[0].startswith("--")
            options[name] = rest.pop(0) if has_value else value
        else:
            positional.append(word)
    return positional, options


@cache
def _flags() -> frozenset[str]:
    """Names of the flags that the rows and the options of runs have."""
    kinds: set[Any] = {Options, *(type(row.config) for row in registry.ROWS)}
    return frozenset(field.name for kind in kinds for field in fields(kind) if isinstance(field.default, bool))


def _is_flag(option: str) -> bool:
    return option.removeprefix("no_") in _flags()
