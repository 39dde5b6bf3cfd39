"""Where dropout pays: the grid, the worth of dropout in text, and the pooled spread."""

import math
from dataclasses import replace

import numpy as np
import pytest
from support.factories import diverge, make_record

from benchmark.analysis.names import short_names
from benchmark.analysis.results import gather
from benchmark.analysis.samples import Sample
from benchmark.analysis.surface import Point, Surface, as_text, surfaces
from benchmark.grid.surface import runs_of
from benchmark.reports import figures
from benchmark.reports import surface as report
from benchmark.store.records import Record, Store
from benchmark.tasks import registry
from benchmark.tasks.language_modeling import part_changes
from datamodules.errors import UserError

ROWS = [registry.find(name) for name in ("sotu-small", "sotu-large")]


def record(run, *perplexities: float) -> Record:
    curve = [{"epoch": epoch, "validation_perplexity": value} for epoch, value in enumerate(perplexities, 1)]
    return make_record(run.row, run.seed, curve=curve)


def surface(values: dict[tuple[int, float, float], list[float]]) -> Surface:
    """The surface of runs of these perplexities, by units, part of the text and probability."""
    fractions, rates = sorted({key[1] for key in values}), sorted({key[2] for key in values})
    grid = runs_of(ROWS, fractions, rates, max(map(len, values.values())), None)
    records = []
    for run in grid:
        config = run.row.config
        of_point = values.get((config.hidden_size, config.train_fraction, config.dropout), [])
        records += [record(run, of_point[run.seed - 1])] if run.seed <= len(of_point) else []
    (found,) = surfaces(records, [])
    return found


def test_a_part_of_the_text_is_trained_on_with_as_many_updates_at_the_same_rates() -> None:
    config = ROWS[0].config
    whole, half = (replace(config, **part_changes(config, fraction, 0.3)) for fraction in (1.0, 0.5))
    assert whole == replace(config, dropout=0.3, validation_only=True)
    assert (half.epochs, half.flat_epochs) == (16, 8)
    assert half.decay**4 == pytest.approx(config.decay**2)  # four epochs of half of the text are two
    assert half.relative_cost == pytest.approx(config.relative_cost)


def test_the_grid_has_every_cell_and_refuses_what_is_not_possible() -> None:
    runs = runs_of(ROWS, [0.25, 1.0], [0.0, 0.5], 2, None)
    assert len({(run.label, run.fingerprint) for run in runs}) == len(runs) == 16
    assert runs[0].row.name == "sotu-small-text-0.25-dropout-0"
    for fraction in (0.0, 1.5, math.nan):
        with pytest.raises(UserError, match=r"train_fraction: .* must be from 0.001 to 1"):
            runs_of(ROWS, [fraction], [0.0], 1, None)
    with pytest.raises(UserError, match=r"dropout: 1.0 is out of range"):
        runs_of(ROWS, [1.0], [1.0], 1, None)
    with pytest.raises(UserError, match="espeak-small is no language model"):
        runs_of([registry.find("espeak-small")], [1.0], [0.0], 1, None)


def test_a_run_counts_by_its_best_epoch() -> None:
    grid = runs_of(ROWS[:1], [1.0], [0.0, 0.5], 1, None)
    (found,) = surfaces([record(grid[0], 130.0, 110.0, 125.0), record(grid[1], 120.0, 105.0, 104.0)], [])
    assert found.points[0].without.values == (110.0,)
    assert found.points[0].change == pytest.approx(math.log(104 / 110))


def test_worth_in_text_by_hand() -> None:
    """Without dropout 400, 200 and 100 on a quarter, half and all: perplexity is 100 divided by the part."""
    found = surface({
        (64, 0.25, 0.0): [400.0], (64, 0.25, 0.5): [300.0],
        (64, 0.5, 0.0): [200.0], (64, 0.5, 0.5): [250.0],
        (64, 1.0, 0.0): [100.0], (64, 1.0, 0.5): [90.0],
    })  # fmt: skip
    quarter, half, whole = found.points
    assert found.worth(quarter) == (pytest.approx(4 / 3), "")
    assert found.worth(half) == (pytest.approx(0.8), "")
    assert found.worth(whole) == (pytest.approx(1.0), "more than")
    worse = surface({(64, 1.0, 0.0): [100.0], (64, 1.0, 0.5): [120.0]})
    assert worse.worth(worse.points[0])[1] == "less than"


def test_single_runs_decide_nothing() -> None:
    """Under no effect the better one of two probabilities would seem to pay in about half of all repetitions."""
    found = surface({
        (64, 1.0, 0.0): [100.0], (64, 1.0, 0.25): [90.0], (64, 1.0, 0.5): [80.0],
        (256, 1.0, 0.0): [100.0], (256, 1.0, 0.25): [120.0], (256, 1.0, 0.5): [130.0],
    })  # fmt: skip
    assert [found.pays(point) for point in found.points] == [None, None]
    assert report.in_words(found) == "- On the whole text dropout is not known to pay at any size."


def test_numbers_of_runs_are_both_given_where_they_differ() -> None:
    found = surface({(64, 1.0, 0.0): [100.0, 101.0, 102.0], (64, 1.0, 0.5): [80.0, 81.0]})
    assert "| 0.5 | 3 without, 2 with | " in report.as_table(found).markdown()


def test_the_spread_is_pooled_over_all_points_and_decides() -> None:
    found = surface({
        (64, 1.0, 0.0): [100.0, 102.0], (64, 1.0, 0.5): [99.0, 101.0],
        (256, 1.0, 0.0): [100.0, 101.0], (256, 1.0, 0.5): [80.0, 81.0],
    })  # fmt: skip
    pairs = [(100, 102), (99, 101), (100, 101), (80, 81)]
    by_hand = sum(math.log(b / a) ** 2 / 2 for a, b in pairs) / 4
    assert found.spread.variance == pytest.approx(by_hand)
    assert found.spread.degrees == 4
    small, large = found.points
    low, high = found.interval(small)
    assert (low + high) / 2 == pytest.approx(math.log(100 / 101))
    assert (high - low) / 2 == pytest.approx(2.7764 * math.sqrt(by_hand), rel=1e-4)  # t of 4 degrees, 1/2 + 1/2
    assert (found.pays(small), found.pays(large)) == (None, True)
    assert found.pays_at(1.0) == [256]
    assert report.in_words(found) == "- On the whole text dropout starts to pay at 256 units."


@pytest.mark.parametrize("rates", [1, 2, 4, 8])
def test_the_interval_of_the_best_of_several_probabilities_covers_what_it_says(rates: int) -> None:
    """Dropout changes nothing here: the best probability only seems better than none."""
    generator, covered, times = np.random.default_rng(rates), 0, 1500
    logs = 0.01 * generator.standard_normal((times, 4, rates + 1, 2))  # of four parts of the text, two seeds each
    for drawn in 100 * np.exp(logs):
        points = [
            Point(64, part, {rate / 10: Sample.of(dict(enumerate(map(float, at)))) for rate, at in enumerate(of)})
            for part, of in enumerate(drawn, 1)
        ]
        low, high = Surface("text", tuple(points)).interval(points[0])
        covered += low <= 0 <= high
    assert covered / times == pytest.approx(0.96, abs=0.02)


@pytest.mark.parametrize(("spread", "least", "most"), [(0.005, 0.945, 0.975), (0.025, 0.9, 0.96)])
def test_a_point_that_spreads_more_than_the_others_has_an_interval_of_its_own(spread, least, most) -> None:
    """Of eight points with two seeds and one probability, the first one has this spread and the others 0.005."""
    generator, covered, times = np.random.default_rng(0), 0, 800
    spreads = np.array([spread, *[0.005] * 7])[:, None, None]
    for drawn in 100 * np.exp(spreads * generator.standard_normal((times, 8, 2, 2))):
        points = [
            Point(64, part, {rate / 10: Sample.of(dict(enumerate(map(float, at)))) for rate, at in enumerate(of)})
            for part, of in enumerate(drawn, 1)
        ]
        low, high = Surface("text", tuple(points)).interval(points[0])
        covered += low <= 0 <= high
    assert least <= covered / times <= most


def test_the_spread_of_a_point_by_hand() -> None:
    """Two points with differences of 0.2 and 0.01: the F test of 1 and 1 degrees needs a ratio of 9.5."""
    first, second = (
        Point(64, part, {0.0: Sample.of({1: 100.0}), 0.5: Sample.of({1: 100.0, 2: 100 * math.exp(gap)})})
        for part, gap in ((0.5, 0.2), (1.0, 0.01))
    )
    found = Surface("text", (first, second))
    assert found.spread_at(first).variance == pytest.approx(0.02)
    assert found.spread_at(first).degrees == 1
    assert found.spread_at(second) == found.spread
    assert found.spread.variance == pytest.approx((0.02 + 0.00005) / 2)


def test_runs_of_another_precision_are_said() -> None:
    runs = runs_of(ROWS[:1], [1.0], [0.0, 0.5], 1, None)
    records = [record(run, 100.0) for run in runs]
    (found,) = surfaces([records[0], replace(records[1], precision="bf16-mixed")], [])
    assert report.in_words(found).endswith("\n- 1 of the runs is in precision bf16-mixed.")


def test_words_are_of_the_sizes_that_were_run_on_that_part() -> None:
    found = surface({
        (64, 0.5, 0.0): [100.0], (64, 0.5, 0.5): [120.0],
        (64, 1.0, 0.0): [100.0], (64, 1.0, 0.5): [120.0],
        (256, 1.0, 0.0): [100.0], (256, 1.0, 0.5): [120.0],
    })  # fmt: skip
    half, whole = report.in_words(found).splitlines()
    assert half == "- On 1/2 of the text dropout is not known to pay at 64 units; 256 units were not run on it."
    assert whole == "- On the whole text dropout is not known to pay at any size."


def test_the_report_shows_every_point_and_is_the_same_each_time(tmp_path) -> None:
    assert report.files(tmp_path, tmp_path) == {}
    for run in runs_of(ROWS, [0.5, 1.0], [0.0, 0.5], 2, None):
        Store(tmp_path / "surface").write(record(run, 119.9 - 30 * run.row.config.dropout + 0.2 * (run.seed - 1)), {})
    files = report.files(tmp_path, tmp_path)
    assert [path.name for path in files] == ["surface.md", "sotu-surface.svg"]
    text = files[tmp_path / "surface.md"]
    assert "- On 1/2 of the text dropout pays at every size that was tried." in text
    assert "- On the whole text dropout pays at every size that was tried." in text
    runs = "120.0 ± 0.1 | 105.0 ± 0.1 | 0.5 | 2 | -12.5% (-12.8% to -12.2%) | yes"
    assert f"| 256 | 1/2 | {runs} | more than 2.0 times |" in text
    assert f"| 256 | 1 | {runs} | more than there is |" in text
    assert report.files(tmp_path, tmp_path) == files


def test_where_runs_diverged_nothing_is_said_to_pay(tmp_path) -> None:
    grid = runs_of(ROWS, [1.0], [0.0, 0.25, 0.5], 3, None)
    for run in grid:
        rate, seed, small = run.row.config.dropout, run.seed, run.row.config.hidden_size == 64
        if (small and rate == 0.5 and seed > 1) or (not small and rate == 0.25):
            diverge(tmp_path / "surface", record(run, 0.0))
        else:
            Store(tmp_path / "surface").write(record(run, 120.0 - 30 * rate + seed / 10), {})
    diverge(tmp_path / "surface", replace(record(grid[0], 0.0), data_sha256="e" * 64))  # of other data
    text = report.files(tmp_path, tmp_path)[tmp_path / "surface.md"]
    assert "| 64 | 1 | 120.2 ± 0.1 | 105.1 | 0.5 | 3 without, 1 with, 2 more diverged | -12.6% | undecided |" in text
    assert "| 256 | 1 | 120.2 ± 0.1 | 105.2 ± 0.1 | 0.5 | 3 | -12.5% (" in text
    assert "- On the whole text dropout starts to pay at 256 units." in text
    lost = "3 runs that diverged, of sotu-large-text-1-dropout-0.25, of which no other is shown"
    assert f"Left out: {lost}." in text


def test_sources_whose_folders_have_one_name_have_a_figure_each() -> None:
    assert short_names(["sotu", "a/text"]) == {"sotu": "sotu", "a/text": "text"}
    names = short_names(["a/text", "b/text"])
    assert len(set(names.values())) == 2
    assert names.items() <= short_names(["sotu", "b/text", "a/text"]).items()  # whatever their order
    grid = [(place, rate) for place in "ab" for rate in (0.0, 0.5)]
    rows = [ROWS[0].variant(f"{place}-{rate}", source=f"{place}/text", dropout=rate) for place, rate in grid]
    records = [make_record(row, curve=[{"epoch": 1, "validation_perplexity": 100.0}]) for row in rows]
    found = surfaces(records, [])
    text = report.markdown(found)
    assert len(set(report.figure_names(found))) == 2
    assert all(f"({name}.svg)" in text for name in report.figure_names(found))
    drawn = figures.draw(gather(rows, records))
    assert all(name in drawn for name in names.values())


def test_parts_of_the_text_as_a_reader_writes_them() -> None:
    assert [as_text(part) for part in (0.125, 1 / 3, 0.3, 1.0)] == ["1/8", "1/3", "0.3", "1"]


def runs_on_parts(
    row=ROWS[0], seeds: int = 1, whole: str = "a" * 64, value: float = 100.0, day: int = 1
) -> list[Record]:
    """Runs on half of a text and all of it; with dropout perplexity is lower by a tenth."""
    made = []
    for run in runs_of([row], [0.5, 1.0], [0.0, 0.5], seeds, None):
        config = run.row.config
        part = config.train_fraction < 1
        changes = {
            "data_sha256": "5" + whole[1:] if part else whole,
            "details": {"whole_text_sha256": whole} if part else {},
            "finished": f"2026-01-{day:02}T00:00:00+00:00",
        }
        made.append(replace(record(run, value * (0.9 if config.dropout else 1)), **changes))
    return made


def shown(records: list[Record]) -> tuple[list[tuple[float, ...]], tuple[str, ...]]:
    """The perplexities without dropout of each point, and what was left out."""
    (found,) = surfaces(records, [])
    return [point.without.values for point in found.points], found.left_out


def test_the_runs_of_a_surface_are_of_one_text() -> None:
    old, new = runs_on_parts(), runs_on_parts(whole="b" * 64, value=200.0, day=2)
    lines = ("2 runs of another text (data 5aaaaaaa)", "2 runs of another text (data aaaaaaaa)")
    for given in ([*old, *new], [*new, *old]):
        assert shown(given) == ([(200.0,), (200.0,)], lines)
    half = [one for one in new if one.configuration["train_fraction"] == 0.5]
    assert shown([*old, *half]) == ([(200.0,)], lines)  # the whole of the old text is not beside half of the new one


def test_a_text_with_runs_on_one_side_only_is_said_too(tmp_path, capsys) -> None:
    new = [one for one in runs_on_parts(whole="b" * 64, day=2) if not one.configuration["dropout"]]
    for one in [*runs_on_parts(), *new]:
        Store(tmp_path / "surface").write(one, {})
    assert report.files(tmp_path, tmp_path) == report.figures_of(tmp_path) == {}
    assert "2 runs of another text (data aaaaaaaa)" in capsys.readouterr().err


def test_older_runs_on_parts_do_not_tell_their_text() -> None:
    records = [replace(one, details={}) for one in runs_on_parts()]
    assert shown(records) == ([(100.0,), (100.0,)], ())
    others = [replace(one, details={}) for one in runs_on_parts(whole="b" * 64, value=200.0, day=2)]
    assert shown([*records, *others])[0] == [(200.0,)]  # which halves are of which text is not known


def test_the_runs_of_a_size_are_of_one_configuration_and_a_seed_counts_once() -> None:
    slow = ROWS[0].variant("slow", lr=0.5)
    old, new = runs_on_parts(slow, 2), runs_on_parts(value=200.0, day=2)
    values, left_out = shown([*old, *new])
    assert values == [(200.0,), (200.0,)]
    assert left_out == ("8 runs of another configuration of 64 units, lr 0.5 instead of 1.0",)
    same = runs_on_parts(ROWS[0].variant("same"), value=150.0, day=3)
    assert shown([*new, *same]) == ([(150.0,), (150.0,)], ())
    longer = runs_on_parts(ROWS[0].variant("longer", epochs=9), day=4)
    assert shown([*longer, *new])[1] == ("4 runs of another configuration of 64 units, epochs 8 instead of 9",)


def test_what_is_left_out_of_a_surface_is_in_its_table_and_said(tmp_path, capsys) -> None:
    for one in [*runs_on_parts(ROWS[0].variant("slow", lr=0.5)), *runs_on_parts(day=2)]:
        Store(tmp_path / "surface").write(one, {})
    text = report.files(tmp_path, tmp_path)[tmp_path / "surface.md"]
    assert "Left out: 4 runs of another configuration of 64 units, lr 0.5 instead of 1.0." in text
    assert capsys.readouterr().err == (
        "rnnreg: left out: sotu, runs on parts of the text: 4 runs of another configuration of 64 units, "
        "lr 0.5 instead of 1.0\n"
    )
