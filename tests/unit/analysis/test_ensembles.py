"""Ensembles of models from saved log-probabilities."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record

from benchmark.analysis import ensembles
from benchmark.analysis.results import gather
from benchmark.analysis.subsets import MOST_SUBSETS, additive_parts, ensemble_gain, subsets
from benchmark.reports import figures, tables
from benchmark.store.records import Store, checksum_arrays
from benchmark.tasks import language_modeling, registry
from benchmark.tasks.base import Row
from datamodules.errors import UserError

SMALL = language_modeling.PTB_SMALL
ENSEMBLE = replace(SMALL, name="ptb-small-average", ensemble_of="ptb-small", members=3)
ROWS: tuple[Row, ...] = (SMALL, ENSEMBLE)


def add_member(store: Store, seed: int, *probabilities: float, **changes) -> None:
    arrays = {"test": np.log(probabilities).astype(np.float16)}
    store.write(make_record(SMALL, seed, log_probabilities_sha256=checksum_arrays(arrays), **changes), arrays)


def test_perplexity_of_the_mean_probability_by_hand() -> None:
    """Probabilities 0.5, 0.25 and 0.25, 0.75: means 0.375 and 0.5."""
    members = [{"test": np.log([0.5, 0.25])}, {"test": np.log([0.25, 0.75])}]
    found = ensembles.perplexities(members, "a")
    assert found == {"test_perplexity": pytest.approx((0.375 * 0.5) ** -0.5)}


def test_all_models_are_equally_often_in_the_choices_that_are_drawn() -> None:
    assert len(subsets(10, 5)) == 252  # all of them
    for models, members in ((20, 5), (38, 10), (13, 7)):
        drawn = subsets(models, members)
        assert MOST_SUBSETS - models < len(drawn) <= MOST_SUBSETS
        assert all(len(set(one)) == members for one in drawn)
        assert len(set(np.bincount(np.concatenate(drawn)))) == 1


def test_the_mean_without_a_model_by_its_additive_part_is_that_over_all_choices() -> None:
    """With products of two members, which are no sum: over all pairs of five models and over those without each."""
    levels, pairs = np.array([1.0, 2.0, 4.0, 5.0, 9.0]), subsets(5, 2)
    values = [levels[list(pair)].prod() for pair in pairs]
    parts = additive_parts(pairs, values, 5)
    for left_out in range(5):
        right = np.mean([value for pair, value in zip(pairs, values, strict=True) if left_out not in pair])
        assert 2 * np.delete(parts, left_out).mean() == pytest.approx(right)


def test_the_interval_of_a_gain_is_as_wide_as_it_need_be_where_choices_are_drawn() -> None:
    """Five of 20 models; each has a level and, for each token, an error of its own."""
    generator = np.random.default_rng(0)
    text = generator.normal(-4, 2, 200)
    errors = generator.normal(0, 0.4, (40, 20, 200)) + generator.normal(0, 0.02, (40, 20, 1))
    gains = [ensemble_gain(list(np.minimum(text - 0.08 + error, -1e-3)), 5) for error in errors]
    spread = np.std([gain.share for gain in gains])
    told = np.sqrt(np.mean([gain.over_models.variance for gain in gains]))  # type: ignore[union-attr]
    assert told / spread == pytest.approx(1, abs=0.25)


def test_members_of_other_tokens_are_refused() -> None:
    for other in ({"test": np.zeros(3)}, {"validation": np.zeros(2)}, {}):
        with pytest.raises(UserError, match="a: its members were not evaluated on the same tokens"):
            ensembles.perplexities([{"test": np.zeros(2)}, other], "a")


def test_a_row_has_records_of_its_own_kind_only() -> None:
    ensemble = make_record(ENSEMBLE, 0, details={"members": [1, 2]})
    records = [make_record(SMALL), replace(ensemble, row=SMALL.name), ensemble, make_record(ENSEMBLE, 3)]
    warnings: list[str] = []
    single, averaged = gather(ROWS, records, warnings)
    assert (single.records, averaged.records) == ((records[0],), (records[2],))
    assert warnings == [
        "ptb-small: 1 record of ensembles, though it is trained",
        "ptb-small-average: 1 record of single runs, though the row is an ensemble",
    ]


def test_an_ensemble_of_runs_that_were_trained_again_is_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (1, 2, 3):
        add_member(store, seed, 0.5, 0.1 * seed)
    (made,) = ensembles.update(ROWS, ROWS, store)

    def shown(records) -> tuple[tuple, list[str]]:
        warnings: list[str] = []
        return gather(ROWS, records, warnings)[1].records, warnings

    old = list(store.records())
    assert shown(old) == ((made,), [])
    again = replace(old[0], log_probabilities_sha256="0" * 64, finished="2027-01-01T00:00:00+00:00")
    assert again.row == SMALL.name
    reason = "ptb-small-average: 1 record of other runs of ptb-small than those that are shown"
    assert reason in shown([*old, again])[1]
    assert shown([*old, again])[0] == ()
    assert shown([*old, replace(again, finished="2020-01-01T00:00:00+00:00")])[0] == (made,)  # an older copy
    assert shown([*old, replace(again, data_sha256="e" * 64)])[0] == (made,)  # runs of other data
    assert shown([one for one in (again, *old) if one.seed != 2])[0] == (made,)  # it cannot be known
    assert gather([ENSEMBLE], [*old, again])[0].records == ()  # whether or not the members have a row here


def test_an_ensemble_is_made_once_and_again_when_there_are_more_members(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add_member(store, 1, 0.5, 0.25)
    assert ensembles.update(ROWS, ROWS, store) == []
    add_member(store, 2, 0.25, 0.75)
    (record,) = ensembles.update(ROWS, ROWS, store)
    assert record.details["members"] == [1, 2]
    assert record.metrics["test_perplexity"] == pytest.approx((0.375 * 0.5) ** -0.5, rel=1e-3)
    assert record.parameters == 20
    assert store.find(record.run) == record
    assert ensembles.update(ROWS, ROWS, store) == []

    for seed in (3, 4):
        add_member(store, seed, 0.5, 0.5)
    (more,) = ensembles.update(ROWS, ROWS, store)
    assert more.details["members"] == [1, 2, 3]
    assert more.run == record.run
    assert [found.row for found in store.records()].count(ENSEMBLE.name) == 1


def test_the_precision_of_an_ensemble_is_that_of_its_members(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (1, 2):
        add_member(store, seed, 0.5, 0.25, precision="bf16-mixed")
    (record,) = ensembles.update(ROWS, ROWS, store)
    assert (record.precision, record.command.split()[-2:]) == ("bf16-mixed", ["--precision", "bf16-mixed"])


def test_a_damaged_record_of_a_member_is_named(tmp_path: Path, capsys) -> None:
    store = Store(tmp_path)
    for seed in (1, 2, 3):
        add_member(store, seed, 0.5, 0.25)
    next(tmp_path.glob("ptb-small/seed-2-*/record.json")).write_text("{")
    (record,) = ensembles.update(ROWS, ROWS, store)
    assert record.members == (1, 3)
    assert "rnnreg: left out: " in capsys.readouterr().err


def test_the_table_says_how_many_members_there_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (1, 2):
        add_member(store, seed, 0.5, 0.25)
    ensembles.update(ROWS, ROWS, store)
    text = tables.markdown(gather(ROWS, store.records()))
    assert "| ensemble of 3 small | none | 2 of 3 | – | – | 2.8 |" in text
    assert "2 runs on CPU: 2.0 h in total" in text
    assert "mean of its members' probabilities" in text


def test_only_a_complete_ensemble_is_compared_with_the_papers(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, difference in ((1, ""), (2, ""), (3, "– / -111.7")):  # of a single one none is made
        add_member(store, seed, 0.5, 0.25)
        ensembles.update(ROWS, ROWS, store)
        table = gather(ROWS, store.records())
        cells = [line.split(" | ") for line in tables.markdown(table).splitlines() if "| ensemble of 3" in line]
        assert cells[0][7] == (difference or "–")
        csv_line = list(csv.DictReader(io.StringIO(tables.as_csv(table))))[1]
        assert bool(csv_line["test_perplexity_difference"]) == bool(difference)
        assert ("ptb-small-average" in figures.draw(table)["paper"]) == bool(difference)


def test_an_ensemble_of_a_dirty_run_is_dirty(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add_member(store, 1, 0.5)
    add_member(store, 2, 0.5, commit="c" * 40 + "-dirty")
    (record,) = ensembles.update(ROWS, ROWS, store)
    assert record.commit.endswith("-dirty")


def test_altered_log_probabilities_make_no_ensemble(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add_member(store, 1, 0.5)
    add_member(store, 2, 0.5)
    path = next(tmp_path.glob("*/seed-2-*/log_probabilities.npz"))
    np.savez_compressed(path, test=np.zeros(1, np.float16))
    with pytest.raises(UserError, match="is not what its record was written with"):
        ensembles.update(ROWS, ROWS, store)


def test_the_standard_profile_has_every_figure_of_table_1() -> None:
    paper = {
        ("ptb-small", 1): (120.7, 114.5),
        ("ptb-small", 2): (100.4, 96.1),
        ("ptb-small", 5): (87.9, 84.1),
        ("ptb-small", 10): (83.5, 80.0),
        ("ptb-medium-dropout", 1): (86.2, 82.7),
        ("ptb-medium-dropout", 2): (80.6, 77.0),
        ("ptb-medium-dropout", 5): (76.7, 73.3),
        ("ptb-medium-dropout", 10): (75.2, 72.0),
        ("ptb-large-dropout", 1): (82.2, 78.4),
        ("ptb-large-dropout", 2): (76.9, 73.6),
        ("ptb-large-dropout", 10): (72.8, 69.5),
        ("ptb-large-dropout", 38): (71.9, 68.7),
    }
    ours = [row for row in registry.ROWS if row.published and row.published.source == "Table 1"]
    assert all({"standard", "paper"} <= set(row.profiles) for row in ours)
    found = {(row.ensemble_of or row.name, row.members): tuple(row.published.metrics.values()) for row in ours}
    assert found == paper


def test_ensembles_that_are_committed_do_not_make_each_other_dirty(tmp_path: Path, monkeypatch) -> None:
    """In the suite's own checkout the record of the first ensemble is a change of the tree."""
    store = Store(tmp_path)
    for seed in (1, 2, 3):
        add_member(store, seed, 0.5, 0.25)
    written = lambda: any(record.is_ensemble for record in store.records())  # noqa: E731
    monkeypatch.setattr(ensembles, "describe_commit", lambda: "c" * 40 + ("-dirty" if written() else ""))
    other = replace(ENSEMBLE, name="another", members=2)
    found = ensembles.update([ENSEMBLE, other], [*ROWS, other], store)
    assert [record.commit for record in found] == ["c" * 40] * 2


def test_tables_show_an_ensemble_over_all_choices_of_its_members(tmp_path: Path) -> None:
    """Three models of two tokens; pairs have means (0.375, 0.5), (0.3, 0.15), (0.175, 0.4); the first is recorded."""
    store, pair = Store(tmp_path), replace(ENSEMBLE, members=2)
    for seed, probabilities in enumerate(((0.5, 0.25), (0.25, 0.75), (0.1, 0.05)), 1):
        add_member(store, seed, *probabilities)
    ensembles.update([pair], (SMALL, pair), store)
    (_, found) = gather((SMALL, pair), store.records(), store=store)
    values = [(one * other) ** -0.5 for one, other in ((0.375, 0.5), (0.3, 0.15), (0.175, 0.4))]
    assert found.sample("test_perplexity").mean == pytest.approx(values[0], rel=1e-3)
    shown = found.shown("test_perplexity")
    assert shown.values == pytest.approx(values, rel=1e-3)
    text = tables.markdown([found.single, found])
    assert f"| {shown.mean:.1f} ± {shown.sd:.1f} |" in text
    assert "perplexity over 3 choices of members |" in text
    number = next(csv.DictReader(io.StringIO(tables.as_csv([found]))))
    assert (float(number["test_perplexity_mean"]), number["test_perplexity_values"]) == (
        pytest.approx(shown.mean, abs=1e-4),
        "3",
    )
