"""Looks at growing numbers of seeds: what they decide, what they need, and how often they are wrong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record, results_of_two_rows
from support.intervals import welch

from benchmark.analysis.findings import Finding
from benchmark.analysis.sequential import ERROR, LOOKS, Comparison, compare, judged, looks
from benchmark.analysis.verdicts import Verdict, decide
from benchmark.store.looks import LOOKS_FILE, most_seeds, note_looks
from benchmark.tasks import registry
from datamodules.errors import DataError

WITHOUT, WITH = registry.find("sotu-medium"), registry.find("sotu-medium-dropout")


def comparison(without: Sequence[float], regularized: Sequence[float], most: int = 20) -> Comparison:
    (found,) = compare(results_of_two_rows((WITHOUT, WITH), without, regularized), most)
    return found


def test_looks_end_at_the_most_seeds() -> None:
    assert looks(20) == LOOKS
    assert looks(10) == (3, 5, 8)


def test_without_runs_the_first_look_is_open() -> None:
    found = comparison([], [])
    assert (found.look, found.verdict, found.is_open) == (3, "undecided", True)
    assert set(found.missing) == {(row.name, seed) for row in (WITHOUT, WITH) for seed in (1, 2, 3)}


def test_a_clear_difference_is_decided_at_the_first_look_and_stays_so() -> None:
    clear = [140.0, 141.0, 140.5], [110.0, 111.0, 110.5]
    assert (comparison(*clear).verdict, comparison(*clear).look) == ("reproduced", 3)
    later = [*clear[0], 100.0, 180.0], [*clear[1], 170.0, 90.0]  # seeds that the look had not
    assert (comparison(*later).verdict, comparison(*later).look) == ("reproduced", 3)


def test_a_look_has_no_run_of_another_seed_whether_it_ended_or_diverged() -> None:
    table = results_of_two_rows((WITHOUT, WITH), [140.0, 141.0, 140.5], [110.0, 111.0, 110.5])
    stray = make_record(WITH, 0, metrics={"test_perplexity": 900.0})
    others = [table[0], replace(table[1], records=(stray, *table[1].records), diverged=(0, 4))]
    (alone,), (found,) = compare(table, 20), compare(others, 20)
    assert (found.verdict, found.look, found.finding) == ("reproduced", 3, alone.finding)


@pytest.mark.parametrize(("seed", "look", "lacks"), [(3, 3, 0), (4, 5, 0), (6, 5, 3)])
def test_a_comparison_ends_undecided_at_the_look_that_has_a_run_that_diverged(seed: int, look: int, lacks: int) -> None:
    table = results_of_two_rows((WITHOUT, WITH), [140.0, 100.0, 120.0, 110.0], [120.0, 110.0, 130.0])
    if seed == 3:
        table[1] = replace(table[1], records=table[1].records[:2])
    (found,) = compare([table[0], replace(table[1], diverged=(seed,))], 20)
    assert (found.look, found.verdict, found.diverged, len(found.missing)) == (look, "undecided", not lacks, lacks)


def test_one_whose_runs_all_diverged_asks_for_none() -> None:
    table = results_of_two_rows((WITHOUT, WITH), [140.0], [])
    (found,) = compare([table[0], replace(table[1], diverged=(1,))], 20)
    assert (found.look, found.verdict, found.is_open) == (3, "undecided", False)


def test_an_unclear_one_asks_for_the_runs_that_the_next_look_lacks() -> None:
    found = comparison([140.0, 100.0, 120.0, 110.0], [120.0, 110.0, 130.0])
    assert (found.look, found.verdict) == (5, "undecided")
    assert set(found.missing) == {(WITHOUT.name, 5), (WITH.name, 4), (WITH.name, 5)}


def test_what_stays_undecided_ends_at_the_most_seeds() -> None:
    found = comparison([140.0, 100.0, 120.0], [120.0, 110.0, 130.0], most=3)
    assert (found.look, found.verdict, found.is_open) == (3, "undecided", False)


def test_a_look_is_stricter_than_a_single_test() -> None:
    """Just outside zero at 95 %, not at 99 %, which a look of five has."""
    without, regularized = [100.0, 104.0, 102.0], [95.0, 97.0, 93.0]
    assert welch(without, regularized)[1] < 0 < welch(without, regularized, 0.99)[1]
    assert comparison(without, regularized).verdict == "undecided"


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.0, 3.0)])
def test_without_an_effect_the_whole_procedure_is_wrong_in_at_most_5_percent(spreads: tuple[float, float]) -> None:
    """By simulation of the rule itself: the first look whose verdict is not undecided is the last."""
    generator, repetitions, wrong = np.random.default_rng(0), 2000, 0
    for _ in range(repetitions):
        without, regularized = (generator.normal(100, sd, LOOKS[-1]) for sd in spreads)
        verdict: Verdict = "undecided"
        for look in LOOKS:
            ends = welch(without[:look], regularized[:look], 1 - ERROR / len(LOOKS))
            verdict = decide((-ends[1], -ends[0]), smallest=0.01)
            if verdict != "undecided":
                break
        wrong += verdict in ("reproduced", "contradicted")
    assert wrong / repetitions <= 0.05
    assert wrong > 0  # a procedure that never decides would pass as well


def test_a_store_whose_runs_were_made_by_looks_is_judged_by_them(tmp_path: Path) -> None:
    table = results_of_two_rows((WITHOUT, WITH), [100.0, 104.0, 102.0], [95.0, 97.0, 93.0])

    def found() -> Finding:
        claim = next(one for one in judged(table, tmp_path) if one.claim.statement.startswith("Dropout on the non-rec"))
        return next(one for one in claim.findings if one.rows == (WITHOUT.name, WITH.name))

    assert found().verdict == "reproduced"
    note_looks(tmp_path, 3)
    assert found().verdict == "undecided"
    assert found().figures.endswith("; by looks at 99 %: undecided with 3 seeds")
    note_looks(tmp_path, 20)
    assert found().figures.endswith("; by looks at 99 %: a look is to come")
    note_looks(tmp_path, 3)  # a later procedure with fewer does not take back what an earlier one has looked at
    assert most_seeds(tmp_path) == 20


@pytest.mark.parametrize("content", ["", "[]", '{"max_seeds": "3"}', '{"max_seeds": 0}'])
def test_a_damaged_note_of_looks_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / LOOKS_FILE).write_text(content)
    with pytest.raises(DataError, match=r"until-decided.json.*remove it, and give --until_decided again"):
        judged([], tmp_path)
