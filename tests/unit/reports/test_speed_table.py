"""The time of a step with each method has an interval, and what it does not decide is gray."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmark.analysis.intervals import of_median
from benchmark.reports import speed
from benchmark.reports.figures import NEITHER
from benchmark.store.speeds import Case, Measurement, Speeds, write


def speeds(**seconds: Sequence[float]) -> Speeds:
    """Rounds of methods, by their keys."""
    cases = {method: Case("rnnreg", "small", "32", method=method) for method in seconds}
    return Speeds(
        device="CPU", versions={}, commit="c", finished="2026-01-01", command="rnnreg", peaks={"32, 1 thread": 100.0},
        measurements=[Measurement(cases[method], of_method, 10, 60.0, 0.0) for method, of_method in seconds.items()],
    )  # fmt: skip


@pytest.mark.parametrize(("rounds", "place"), [(5, None), (6, 1), (8, 1), (9, 2), (11, 2), (12, 3), (20, 6), (100, 40)])
def test_the_interval_of_a_median_is_of_order_statistics(rounds: int, place: int | None) -> None:
    """The places are those of published tables, such as Conover's."""
    values = list(range(rounds, 0, -1))
    assert of_median(values) == (place and (place, rounds + 1 - place))


def test_the_interval_of_a_median_covers_what_it_says() -> None:
    generator = np.random.default_rng(0)
    found = [of_median(values) for values in generator.exponential(1.0, (4000, 9)).tolist()]
    covered = np.mean([low <= np.log(2) <= high for low, high in found])
    assert covered == pytest.approx(1 - 20 / 512, abs=0.01)


def test_a_step_time_has_its_interval_or_the_range_of_few_rounds() -> None:
    times = [0.9, 1.3, 0.95, 0.98, 1.0, 1.02, 1.05, 1.1, 0.99]
    many = speeds(dropout=[1.0] * 9, zoneout=times)
    assert [line[4] for line in speed.table_of_methods(many).body] == ["1.00 (1.00 to 1.00)", "1.00 (0.95 to 1.10)"]
    few = speeds(dropout=[1.0] * 3, zoneout=times[:3])
    assert speed.table_of_methods(few).body[1][4] == "0.95 (range 0.90 to 1.30)"
    alone = speeds(zoneout=times)
    assert speed.table_of_methods(alone).body[0][4] == ""


def test_bars_are_gray_where_the_interval_holds_1(tmp_path) -> None:
    slow, near = [2.0] * 9, [0.9, 1.1] * 4 + [1.0]
    assert [
        found.is_decided
        for found in (speed.step_time(outcome, outcome.measurements[1]) for outcome in (
            speeds(dropout=[1.0] * 9, zoneout=slow), speeds(dropout=[1.0] * 9, zoneout=near),
            speeds(dropout=[1.0] * 5, zoneout=slow[:5]),
        ))
        if found
    ] == [True, False, False]  # fmt: skip
    write(speeds(dropout=[1.0] * 9, zoneout=slow, weight_drop=near), tmp_path / "benchmark-methods-cpu.json")
    drawn = speed.draw(tmp_path)["benchmark-methods"]
    assert ">not shown to differ from it<" in drawn
    assert "(95 % interval)<" in drawn
    assert drawn.count(f"fill: {NEITHER}") == 2 + 1  # the paper's dropout, a method, and the legend
