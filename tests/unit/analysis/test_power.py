"""Plans for what is undecided, and what is collected."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record, results_of_two_rows

from benchmark.analysis.claims import judge
from benchmark.analysis.collection import collect
from benchmark.analysis.power import Plan, plans
from benchmark.analysis.results import read_store
from benchmark.analysis.verdicts import POWER, detectable, power
from benchmark.store.records import CONFIGURATION, Store, checksum_arrays
from benchmark.tasks import registry

WITHOUT, WITH = registry.find("sotu-medium"), registry.find("sotu-medium-dropout")


def plan(without: Sequence[float], regularized: Sequence[float]) -> Plan | None:
    return next(plans(judge(results_of_two_rows((WITHOUT, WITH), without, regularized))), None)


def test_what_is_decided_needs_no_plan() -> None:
    assert plan([140.0, 141.0, 140.5], [110.0, 111.0, 110.5]) is None


def test_an_undecided_comparison_is_planned_by_its_spread_and_the_smallest_difference_of_interest() -> None:
    found = plan([100.0, 103.0, 97.0], [99.0, 103.0])
    assert found is not None
    assert found.finding.expected == 1.0  # 1 % of 100
    spreads = (3.0, 8**0.5)
    assert found.needed is not None
    assert power(1.0, spreads, found.needed) >= POWER > power(1.0, spreads, found.needed - 1)
    assert found.missing == {WITHOUT.name: found.needed - 3, WITH.name: found.needed - 2}
    assert found.detectable is not None
    assert found.detectable > 1.0  # of two runs


def test_where_there_are_more_runs_than_are_needed_that_is_said() -> None:
    spread = np.tile([-1.2, 1.2], 20)
    found = plan((100 + spread).tolist(), (99.5 + spread).tolist())
    assert found is not None
    assert found.finding.expected == 1.0
    assert found.needed is not None
    assert found.needed < 40
    assert found.missing == {WITHOUT.name: 0, WITH.name: 0}
    assert found.needed_in_words == f"{found.needed} of each row, which there are: the difference is likely smaller"
    lacking = plan((100 + spread).tolist(), [99.0, 101.0, 98.0])
    assert lacking is not None
    assert lacking.needed_in_words == f"{lacking.needed} of each row"


def test_a_single_run_asks_for_runs_before_a_plan() -> None:
    found = plan([100.0], [99.0, 103.0])
    assert found is not None
    assert (found.needed, found.detectable, found.missing) == (None, None, {})
    assert found.needed_in_words == "unknown before each row has 2 that differ"


def test_more_runs_than_anybody_will_wait_for_are_said_to_be_more() -> None:
    found = plan([300.0, 100.0, 200.0], [199.0, 299.0, 99.0])
    assert found is not None
    assert (found.needed, found.missing) == (None, {})
    assert found.needed_in_words == "more than 1,000 of each row"


def test_what_todays_runs_find_counts_the_runs_of_both_rows() -> None:
    """Ten runs and five find more than five and five, and less than ten and ten."""
    found = plan([100.0, 103.0, 97.0, 101.0, 99.0, 102.0, 98.0, 100.5, 99.5, 100.0], [99.0, 103.0, 97.5, 100.5, 99.5])
    assert found is not None
    assert found.finding.effect is not None
    before, after = found.finding.effect.before.sd, found.finding.effect.after.sd
    assert before is not None
    assert after is not None
    assert found.detectable is not None
    assert detectable((before, after), 10) < found.detectable < detectable((before, after), 5)
    assert power(found.detectable, (before, after), (10, 5)) == pytest.approx(POWER, abs=0.01)


def test_only_clean_runs_that_are_new_are_collected(tmp_path: Path) -> None:
    store, into = Store(tmp_path / "runs"), tmp_path / "records"
    arrays = {"test": np.zeros(3, np.float16)}
    clean = make_record(WITHOUT, 1, log_probabilities_sha256=checksum_arrays(arrays))
    dirty = replace(clean, seed=2, commit="c" * 40 + "-dirty")
    for record in (clean, dirty):
        store.write(record, arrays)
        (store.root / record.run / CONFIGURATION).touch()
    found = collect(read_store([WITHOUT], store.root), store.root, into)
    assert (found.copied, found.unclean) == ([clean], [dirty])
    assert list(Store(into).records()) == [clean]
    assert Store(into).log_probabilities(clean)["test"].tolist() == [0, 0, 0]
    assert not list(into.rglob(CONFIGURATION))  # which the record has all of
    assert collect(read_store([WITHOUT], store.root), store.root, into).copied == []

    items = {"test_bleu": np.zeros((2, 10), np.int32)}
    more = replace(clean, items_sha256=checksum_arrays(items))  # the same run, which has kept more
    store.write(more, arrays, items)
    assert collect(read_store([WITHOUT], store.root), store.root, into).copied == [more]
    assert Store(into).items(more)["test_bleu"].shape == (2, 10)
