"""A command's signature becomes its parser, and the parsed options become its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonargparse import ArgumentParser

from benchmark.commands import COMMANDS
from benchmark.commands.arguments import (
    POSITIONAL,
    FieldsOf,
    HelpFormatter,
    add_arguments,
    collect,
    docstring,
    listed,
    options_given,
)
from benchmark.commands.surface import numbers
from datamodules.errors import UserError


@dataclass(frozen=True)
class Place:
    """Where to cook."""

    kitchen: Path = Path("home")
    """Folder of the kitchen."""
    cooks: int = 1
    """Number of cooks."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe."""

    salt: float
    """Grams of salt."""
    spice: str = "pepper"
    """Name of the spice."""


BOOK = {"soup": Recipe(salt=2), "cake": Recipe(salt=0, spice="vanilla")}


def recipe(dish: str, shelf: str = "top") -> Recipe:
    return BOOK[dish] if shelf == "top" else Recipe(salt=99)


def cook(
    dish: str,
    changes: Annotated[Mapping[str, Any], FieldsOf(recipe)],
    mode: Annotated[Literal["fry", "boil"], POSITIONAL] = "boil",
    guests: Annotated[tuple[str, ...], POSITIONAL] = (),
    place: Place = Place(cooks=3),
    minutes: int | None = None,
    taste: bool = False,
    shelf: str = "top",
) -> int:
    """Cook a dish.

    Args:
        dish: Name of the dish.
        changes: Fields of the recipe.
        mode: Way of cooking.
        taste: Whether to taste it.
    """
    return 0


def parse(*words: str) -> dict[str, Any]:
    parser = ArgumentParser(exit_on_error=False)
    groups = add_arguments(parser, cook, words)
    return collect(vars(parser.parse_args(words)), groups)


def test_defaults_come_from_the_signature_and_from_instances() -> None:
    assert parse("soup") == {
        "dish": "soup",
        "changes": {"salt": 2.0, "spice": "pepper"},
        "mode": "boil",
        "guests": (),
        "place": Place(cooks=3),
        "minutes": None,
        "taste": False,
        "shelf": "top",
    }


def test_every_kind_of_parameter_is_given() -> None:
    words = ["cake", "fry", "ann", "bo", "--kitchen", "away", "--minutes", "5", "--taste", "--spice", "clove"]
    assert parse(*words) == {
        "dish": "cake",
        "changes": {"salt": 0.0, "spice": "clove"},
        "mode": "fry",
        "guests": ["ann", "bo"],
        "place": Place(Path("away"), 3),
        "minutes": 5,
        "taste": True,
        "shelf": "top",
    }


@pytest.mark.parametrize("words", [["--shelf", "low", "soup"], ["--shelf=low", "--salt", "99", "soup"]])
def test_other_arguments_decide_the_fields_wherever_they_stand(words: list[str]) -> None:
    assert parse(*words)["changes"]["salt"] == 99


@pytest.mark.parametrize(
    "words",
    [
        "tiny --tied --rows_file own.py",
        "--layer_norm tiny --rows_file own.py",
        "--no_cuda_graphs tiny --rows_file own.py",
        "--wandb_model --rows_file=own.py --lr -1 tiny",
    ],
)
def test_a_flag_takes_no_word_that_follows_it(words: str) -> None:
    given = []
    FieldsOf(lambda row, rows_file="": given.append((row, rows_file))).instance(words.split())
    assert given == [("tiny", "own.py")]


def test_a_list_that_is_given_again_does_not_take_the_place_of_the_first_in_silence() -> None:
    """Of --only a --only b the parser knows b alone."""
    with options_given(["--only", "a", "--rates=1/2", "--only", "b"]):
        with pytest.raises(UserError, match="--only is given more than once; give it once, with commas"):
            listed("--only", "b")
        assert numbers("--rates", "1/2,0.25") == [0.5, 0.25]
    assert listed("--only", "a, b") == ["a", "b"]


def test_help_shows_the_docstring_and_no_field_with_a_default_as_required() -> None:
    parser = ArgumentParser(formatter_class=HelpFormatter)
    add_arguments(parser, cook, ["soup"])
    text = " ".join(parser.format_help().split())
    for part in ("Name of the dish. ", "Grams of salt. (default: 2", "Number of cooks. "):
        assert part in text
    assert "type:" not in text
    assert "required" not in text
    assert "None" not in text


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_parameter_of_a_command_has_a_help_text_and_every_text_a_parameter(command) -> None:
    described = {entry.arg_name for entry in docstring(command).params}
    assert described == command.__annotations__.keys() - {"return"}
    assert docstring(command).short_description


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_help_texts_are_written_alike(command) -> None:
    """Those of a row's own fields too: each begins with a capital letter and ends with a full stop."""
    parser = ArgumentParser(add_help=False)
    add_arguments(parser, command, ["ptb-small"])
    texts = [action.help for action in parser._actions if action.dest != "print_config"]
    assert [text for text in texts if not (text and text[0].isupper() and text.rstrip().endswith("."))] == []
