"""Speeds beside the committed ones, by hand."""

import math
from pathlib import Path

import pytest

from benchmark.analysis.steadiness import compare_speed, confirmed, exit_code, read_speed
from benchmark.speed.steady import relative_error
from datamodules.errors import UserError

KNOWN = {"row": {"cpu": [1.0, 1.0, 1.0, 1.0]}}


@pytest.mark.parametrize(
    ("ratio", "error", "outcome", "code"),
    [(1.0, 0.01, "passed", 0), (1.09, 0.01, "passed", 0), (1.2, 0.01, "slower", 1), (0.8, 0.01, "faster", 0),
     (1.2, 0.05, "undecided", 2)],
)  # fmt: skip
def test_a_slow_down_of_a_fifth_is_found_and_noise_is_not(ratio: float, error: float, outcome: str, code: int) -> None:
    found = compare_speed("row", ratio, error, "cpu", KNOWN)
    assert found.outcome == outcome
    assert found.change == pytest.approx(ratio - 1)
    assert exit_code([found]) == code


@pytest.mark.parametrize(
    ("ratios", "outcome", "counted"),
    [((1.06,), "passed", 1.06), ((0.7,), "faster", 0.7), ((1.3, 1.0, 1.05), "passed", 1.05),
     ((1.2, 1.0, 1.19), "slower", 1.19), ((1.12, 1.2, 1.19), "slower", 1.19)],
)  # fmt: skip
def test_an_alarm_has_to_be_confirmed(ratios: tuple[float, ...], outcome: str, counted: float) -> None:
    measured = iter(ratios)
    found = confirmed(lambda: compare_speed("row", next(measured), 0.01, "cpu", KNOWN))
    assert (found.outcome, found.ratio) == (outcome, counted)
    assert next(measured, None) is None  # no more than were needed


def test_another_processor_or_row_is_undecided() -> None:
    assert confirmed(lambda: compare_speed("row", 1.0, 0.01, "gpu", KNOWN)).outcome == "undecided"
    assert compare_speed("row", 1.0, 0.01, "gpu", KNOWN).outcome == "undecided"
    assert compare_speed("other", 1.0, 0.01, "cpu", KNOWN).outcome == "undecided"
    assert exit_code([]) == 2


def test_the_error_of_a_median_comes_from_the_quartiles() -> None:
    values = [1 + place / 100 for place in range(101)]
    assert relative_error(values) == pytest.approx(1.2533 * 0.51 / 1.349 / math.sqrt(101) / 1.5, rel=0.01)


def test_a_broken_file_of_speeds_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`rnnreg baseline speed` makes one"):
        read_speed(tmp_path / "none.json")
    (tmp_path / "speed.json").write_text('{"row": 3}')
    with pytest.raises(UserError, match="is no baseline of speeds"):
        read_speed(tmp_path / "speed.json")
