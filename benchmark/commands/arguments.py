"""From a command's signature to its options, and from their values back to the command's arguments.

A command is a function whose annotations, defaults and docstring are all that its parser is made of:

- A parameter without a default is a positional argument, and so is one annotated `Annotated[T, POSITIONAL]`; a list or
  a tuple takes several words.
- A `bool` is a flag without a value, and so is a field of a dataclass whose default is False.
- A dataclass gives one option for each of its fields; the parameter's default gives their defaults.
- A parameter annotated `Annotated[T, FieldsOf(find)]` gives one option for each field of the instance that `find`
  returns for other arguments of the same command, and takes them as a dictionary.
- Every other parameter is an option with a value.

`Annotated[T, Suggestions(words)]` besides gives the words that shell completion offers for a parameter.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from docstring_parser import Docstring, DocstringStyle, google, parse_from_object
from jsonargparse import ArgumentParser, set_parsing_settings

from benchmark.tasks import registry

POSITIONAL = "positional"
"""Marks a parameter that is a positional argument although it has a default."""


@dataclass(frozen=True)
class FieldsOf:
    """Marks a parameter that takes the fields of a dataclass instance which other arguments decide."""

    find: Callable[..., Any]
    """Gives the instance. Its parameters are named as the command's, and take the words as given."""

    def instance(self, words: Sequence[str]) -> Any:
        """The instance for the words of a command, None as long as they lack an argument of `find`."""
        positional, options = _split(words)
        found: dict[str, str] = {}
        for name, parameter in inspect.signature(self.find).parameters.items():
            if parameter.default is not parameter.empty:
                found.update({name: options[name]} if name in options else {})
            elif positional:
                found[name] = positional.pop(0)
            else:
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
    groups = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind, marks = _annotation(command, name)
        default, text = parameter.default, texts.get(name)
        if is_dataclass(kind) or any(isinstance(mark, FieldsOf) for mark in marks):
            groups[name] = _add_group(parser, kind, marks, default, words)
        elif kind is bool:
            parser.add_argument(f"--{name}", action="store_true", help=text)
        else:
            is_positional = default is parameter.empty or POSITIONAL in marks
            how = _positional(kind, default) if is_positional else {"type": kind, "default": default}
            action = parser.add_argument(name if is_positional else f"--{name}", help=text, **how)
            for mark in marks if suggesting else ():
                if isinstance(mark, Suggestions):
                    action.choices = list(mark.words())
    return groups


def collect(values: Mapping[str, Any], groups: Mapping[str, Group]) -> dict[str, Any]:
    """The arguments of a command, from the values of its options."""
    taken = {name for group in groups.values() for name in group.names}
    made = {name: group.make(**{field: values[field] for field in group.names}) for name, group in groups.items()}
    return {**{name: value for name, value in values.items() if name not in taken}, **made}


def docstring(command: Callable[..., int]) -> Docstring:
    """A command's docstring, by its parts."""
    return google.parse(command.__doc__ or "")


def _annotation(command: Callable[..., int], name: str) -> tuple[Any, tuple[Any, ...]]:
    """The type of a parameter, and the marks that `Annotated` adds to it."""
    hint = get_type_hints(command, include_extras=True)[name]
    marks = getattr(hint, "__metadata__", ())
    return (get_args(hint)[0] if marks else hint), marks


def _add_group(parser: ArgumentParser, kind: Any, marks: Sequence[Any], default: Any, words: Sequence[str]) -> Group:
    """Add one option for each field of a dataclass; where there is an instance, it gives their defaults."""
    instance = None if default is inspect.Parameter.empty else default
    sources = [mark for mark in marks if isinstance(mark, FieldsOf)]
    if sources and (instance := sources[0].instance(words)) is None:
        return Group(dict, ())
    chosen = kind if instance is None else type(instance)
    names = tuple(field.name for field in fields(chosen))
    defaults = {} if instance is None else {name: getattr(instance, name) for name in names}
    flags = {name for name, value in defaults.items() if value is False}
    others = {name: value for name, value in defaults.items() if name not in flags}
    parser.add_class_arguments(chosen, as_group=bool(sources), default=others, skip=set(flags))
    for name in sorted(flags, key=names.index):
        parser.add_argument(f"--{name}", action="store_true", help=_text(chosen, name))
    for action in parser._actions:
        if action.dest in defaults:  # the class may have none for it
            action.required = False
    return Group(dict if sources else chosen, names)


def _text(kind: type, name: str) -> str | None:
    """The docstring of a field, which a class may have from one above it."""
    found = (entry for above in kind.__mro__ if is_dataclass(above) for entry in parse_from_object(above).params)
    return next((entry.description for entry in found if entry.arg_name == name), None)


def _positional(kind: Any, default: Any) -> dict[str, Any]:
    """The keywords of `add_argument` for a positional argument."""
    required = default is inspect.Parameter.empty
    given = {} if required else {"default": default}
    if get_origin(kind) in (list, tuple):
        return {"type": get_args(kind)[0], "nargs": "+" if required else "*", **given}
    return {"type": kind, **({} if required else {"nargs": "?"}), **given}


def _split(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The positional words, and the options with their values; every option is taken to have one."""
    positional, options = [], {}
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            options[name] = value if equals else next(rest, "")
        else:
            positional.append(word)
    return positional, options
