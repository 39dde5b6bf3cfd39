"""Spaces of settings: what is drawn from them, and what is refused."""

import pytest

from benchmark.tasks import registry
from benchmark.tasks.methods import METHODS
from benchmark.tasks.spaces import SHARED, Choice, Range, as_changes, as_json, parse, require_space
from datamodules.errors import UserError


def test_points_of_a_range_by_hand() -> None:
    assert [Range(0.0, 0.6).at(share) for share in (0.0, 0.5, 1.0)] == [0.0, 0.3, 0.6]
    assert [Range(0.1, 10.0, log=True).at(share) for share in (0.0, 0.25, 0.5, 1.0)] == [0.1, 0.3162, 1.0, 10.0]
    assert Range(0.33333, 0.5).at(0.0) == 0.33333  # rounding to four digits does not leave the range


def test_choices_share_the_points_evenly() -> None:
    choice = Choice((6, 8, 12))
    assert [choice.at(share) for share in (0.0, 0.33, 0.34, 0.66, 0.67, 0.999, 1.0)] == [6, 6, 8, 8, 12, 12, 12]


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0, True), (float("nan"), 1.0), ("a", 1.0)])
def test_a_range_has_two_ends_in_order(ends: tuple) -> None:
    with pytest.raises(ValueError, match="expected two numbers in order"):
        Range(*ends)


def test_the_command_lines_space_is_read_and_written() -> None:
    space = {"lr": Range(0.1, 10, log=True), "dropout": Range(0, 0.7), "epochs": Choice((8, 16))}
    assert parse(as_json(space)) == space


@pytest.mark.parametrize("value", [3, [1], [1, 2, 3], [2, 1], {"choices": []}, {"values": [1]}, "0.1"])
def test_what_is_no_space_is_refused_by_name(value: object) -> None:
    with pytest.raises(UserError, match="--space: lr: expected"):
        parse({"lr": value})


def test_a_field_that_is_not_there_is_refused() -> None:
    row = registry.find("sotu-none")
    with pytest.raises(UserError, match="there is no field 'dropuot' to tune; did you mean dropout"):
        require_space(row, {"dropuot": Range(0.0, 0.5)})
    with pytest.raises(UserError, match="declares no space"):
        require_space(row, {})


def test_options_of_a_backbone_stand_together() -> None:
    config = registry.find("sotu-none").config
    assert as_changes(config, {"lr": 0.5}) == {"lr": 0.5}
    drawn = {"backbone_options.a": 1.0, "lr": 0.5, "backbone_options.b": 2}
    assert as_changes(config, drawn) == {"lr": 0.5, "backbone_options": {"a": 1.0, "b": 2}}


def test_every_method_of_the_atlas_has_the_shared_settings_and_its_own() -> None:
    rows = [row for row in registry.ROWS if row.config.source == "sotu" and "atlas" in row.profiles]
    assert {row.name.removeprefix("sotu-") for row in rows} == set(METHODS)
    for row in rows:
        assert SHARED.items() <= row.space.items()
        require_space(row, row.space)
