"""Options from a file, `--config FILE`: YAML with the options of one command by their names.

The parser itself reads the file, and `--print_config` prints one. Here is what it leaves open: the command line
overrides the file wherever it names it, and what is wrong with a file is one line that names file and key.
"""

import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser, Namespace  # type: ignore[attr-defined]

from datamodules.errors import UserError, in_one_line
from datamodules.text import decode

OPTION = "--config"
PRINT = "--print_config"

LONGEST_FILE = 100_000
"""Most bytes of a file: a configuration has a few thousand, and YAML is slow to read."""

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
"""YAML's tags of numbers."""


def config_files(words: Sequence[str]) -> list["ConfigFile"]:
    """The files that the words of a command name."""
    return [ConfigFile(Path(name)) for name in _separate(words)[0]]


def files_first(words: Sequence[str]) -> list[str]:
    """The words of a command with its files in front, since the parser lets what is later override what is before."""
    names, others = _separate(words)
    return [*(f"{OPTION}={name}" for name in names), *others]


def _separate(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of files among the words, and the other words; an option without its name is one of these."""
    names, others = [], []
    rest = iter(words)
    for word in rest:
        option, equals, name = word.partition("=")
        if option != OPTION:
            others.append(word)
        elif name := name if equals else next(rest, ""):
            names.append(name)
        else:
            others.append(OPTION)
    return names, others


@dataclass(frozen=True)
class ConfigFile:
    """A file of options.

    Raises:
        UserError: it cannot be read, is no YAML, or is something else than one value for each of some options.
    """

    path: Path

    @cached_property
    def words(self) -> dict[str, str]:
        """The values of a single word by their options, as they would be on the command line."""
        scalars = ((key.value, value) for key, value in self._node if isinstance(value, yaml.ScalarNode))
        return {name: value.value for name, value in scalars if value.tag != "tag:yaml.org,2002:null"}

    def check(self, parser: ArgumentParser) -> None:
        """Refuse what the parser of the command has no option for, or not of this type.

        Raises:
            UserError: with the file and the key.
        """
        options = {action.dest: action for action in parser._actions}
        options = {name: action for name, action in options.items() if name not in ("help", "config", "print_config")}
        for key, _ in self._node:
            if key.value not in options:
                near = difflib.get_close_matches(key.value, options, n=1)
                hint = f"did you mean {near[0]}?" if near else "--help shows them all"
                raise UserError(f"{self}: there is no option {key.value!r}, as on line {_line(key)}; {hint}")
        for name, value in self._values.items():
            if isinstance(options[name], ActionYesNo) and not isinstance(value, bool):
                raise UserError(f"{self}: {name}: expected true or false, got {value!r}")
            if isinstance(value, bool) and not isinstance(options[name], ActionYesNo):
                word = self.words[name]
                read = f"does not take {str(value).lower()}, as YAML reads {word}"
                raise UserError(f"{self}: {name}: {read}; if the word is meant, write '{word}' in quotes")
            if options[name].nargs in ("+", "*") and not isinstance(value, list):
                raise UserError(f"{self}: {name}: expected a list, got {value!r}")
            try:
                parser.validate(Namespace({name: value}), skip_unset=False, skip_required=True)  # type: ignore[no-untyped-call]
            except (TypeError, ValueError, OverflowError) as error:
                given = "" if "value: " in str(error) else f" value: {value!r}"
                raise UserError(f"{self}: {_one_line(error)}{given}") from error

    def __str__(self) -> str:
        return f"{OPTION} {self.path}"

    @cached_property
    def text(self) -> str:
        """What the file holds, in whatever encoding the suite reads, with ~ as shells expand it."""
        text = self._written
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError):  # which is refused where its options are asked for
            return text
        for word in sorted(_from_home(node), key=lambda word: word.start_mark.index, reverse=True):
            expanded = json.dumps(os.path.expanduser(word.value), ensure_ascii=False)  # noqa: PTH111  as for words
            text = text[: word.start_mark.index] + expanded + text[word.end_mark.index :]
        return text

    @cached_property
    def _written(self) -> str:
        try:
            if not self.path.is_file():
                raise UserError(f"{self}: there is no such file")
            if (size := self.path.stat().st_size) > LONGEST_FILE:
                raise UserError(f"{self}: it has {size:,} bytes; at most {LONGEST_FILE:,} are read")
            return decode(self.path.read_bytes(), str(self))
        except OSError as error:
            raise UserError(f"{self}: cannot be read: {in_one_line(error)}") from error

    @cached_property
    def _node(self) -> list[tuple[Any, Any]]:
        """The options and their values, as YAML's nodes."""
        try:
            node = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            raise UserError(f"{self}: is not YAML: {_one_line(error)}") from error
        if not isinstance(node, yaml.MappingNode) or not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise UserError(f"{self}: expected a line `option: value` for each option")
        if twice := next(_given_twice(node), None):
            raise UserError(f"{self}: {twice.value} is given twice, again on line {_line(twice)}")
        _require_decimal(node, str(self), with_line=True)
        return list(node.value)

    @cached_property
    def _values(self) -> dict[str, Any]:
        try:
            return dict(yaml.safe_load(self.text))
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{self}: is not YAML: {_one_line(error)}") from error


class ReadAsText(ActionConfigFile):
    """The parser's action for a file of options, which gives it the text: by itself it reads one encoding only."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Add the file's options to those that were parsed."""
        self.apply_config(parser, cfg, self.dest, ConfigFile(Path(values)).text)


def require_decimal(words: Sequence[str], values: Mapping[str, Any]) -> None:
    """Refuse numbers on the command line that YAML reads as others than their digits say, as in {layers: 010}.

    Args:
        words: the words of a command.
        values: what was made of its options, by their names; those of one number are not read by YAML alone.

    Raises:
        UserError: a mapping or a list has such a number.
    """
    for word, after in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        text, name = value if equals else after, option.removeprefix("--")
        if option.startswith("--") and name != "config" and isinstance(values.get(name), dict | list):
            _require_decimal(yaml.compose(text, Loader=yaml.SafeLoader), f"--{name.replace('_', '-')}")


def _require_decimal(node: Any, place: str, *, with_line: bool = False) -> None:
    if other := next(_not_decimal(node), None):
        line = f" on line {_line(other)}" if with_line else ""
        raise UserError(
            f"{place}: {other.value}{line} is not read as a decimal number by YAML, which takes a 0 in front for octal "
            "and colons for base 60; write it in plain digits"
        )


def _from_home(node: Any) -> Iterator[Any]:
    """The options, and the parts of those that are lists, that begin with ~; each is on one line."""
    for _, value in node.value if isinstance(node, yaml.MappingNode) else ():
        for word in value.value if isinstance(value, yaml.SequenceNode) else (value,):
            is_text = isinstance(word, yaml.ScalarNode) and word.tag == "tag:yaml.org,2002:str"
            if is_text and word.value.startswith("~") and word.start_mark.line == word.end_mark.line:
                yield word


def _given_twice(node: Any) -> Iterator[Any]:
    """The keys of a mapping, and of mappings in it, that it has already; YAML would take the last one in silence."""
    seen: set[str] = set()
    for key, value in node.value:
        if str(key.value) in seen:
            yield key
        seen.add(str(key.value))
        if isinstance(value, yaml.MappingNode):
            yield from _given_twice(value)


def _not_decimal(node: Any) -> Iterator[Any]:
    """The whole numbers in a node that YAML 1.1 reads as octal or in base 60: as others than their digits say."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # which an alias stands for
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif node.tag in NUMBERS:
            digits = node.value.lstrip("+-").replace("_", "")
            is_octal = digits.startswith("0") and digits.isdecimal() and len(digits.lstrip("0")) > 1
            if is_octal or ":" in digits:
                yield node


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _one_line(error: Exception) -> str:
    """A parser's message, whose later lines say where."""
    return " ".join(str(error).split())
