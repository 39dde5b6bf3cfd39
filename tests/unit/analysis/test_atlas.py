"""The atlas: tests of every method, corrected for their number, against an independent computation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.factories import make_record

from benchmark.analysis.atlas import atlases, lost, not_run
from benchmark.analysis.claims import judge
from benchmark.analysis.intervals import Component, difference, interval, seeds
from benchmark.analysis.results import RowResults, gather
from benchmark.analysis.verdicts import holm, p_of_difference, p_of_equivalence
from benchmark.reports import atlas as report
from benchmark.reports import atlas_figures
from benchmark.reports.page import identifier, page
from benchmark.tasks import registry

NONE, PAPER = registry.find("sotu-none"), registry.find("sotu-dropout")
OWN = replace(NONE.variant("mine", backbone_options={}, weight_drop=0.1), label="my own method")
ZONEOUT, TIED = registry.find("sotu-zoneout"), registry.find("sotu-tied")


def runs(means: dict, spread: float = 1.0, count: int = 10) -> list[RowResults]:
    """Rows with runs around some test perplexities."""
    generator = np.random.default_rng(0)
    records = []
    for row, mean in means.items():
        drawn = generator.standard_normal(count)
        values = mean + spread * (drawn - drawn.mean()) / drawn.std(ddof=1)
        records += [make_record(row, seed, metrics={"test_perplexity": value}) for seed, value in enumerate(values, 1)]
    return gather([*registry.ROWS, OWN], records)


def test_two_tasks_on_one_folder_have_an_atlas_each() -> None:
    shipped = [
        registry.find(name) for name in ("multi30k-small", "sotu-none", "sotu-dropout", "multi30k-small-dropout")
    ]
    rows = [replace(row.variant(f"my-{row.name}", source="/my/folder"), profiles=("atlas",)) for row in shipped]
    metrics = {"test_perplexity": 5.0, "test_bleu": 30.0}
    found = atlases(gather(rows, [make_record(row, seed, metrics=metrics) for row in rows for seed in (1, 2)]))
    assert [one.name for one in found] == ["folder-small", "folder-language-modeling-small"]
    assert [[method.results.row.config.task for method in one.methods] for one in found] == [
        ["translation"] * 2,
        ["language-modeling"] * 2,
    ]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9, 0.001]) == pytest.approx([1.0, 1.0, 0.003])
    assert holm([]) == []


def test_p_values_are_those_of_welch_and_of_its_interval() -> None:
    one, other = [100.0, 101.0, 103.0, 99.0], [98.0, 97.5, 97.0, 98.2, 99.0]
    error, change = difference(seeds(one), seeds(other)), float(np.mean(other) - np.mean(one))
    p = p_of_difference(change, error)
    assert p == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    assert max(interval(change, error, 1 - p)) == pytest.approx(0.0, abs=1e-9)
    equivalent = p_of_equivalence(change, error, 5.0)
    assert min(interval(change, error, 1 - equivalent)) == pytest.approx(-5.0)
    assert p_of_equivalence(change, error, 2.0) == 1.0
    still = Component(0.0, 3.0)
    assert (p_of_difference(0.0, still), p_of_difference(1.0, still), p_of_equivalence(0.1, still, 1.0)) == (1, 0, 0)


def test_any_wrong_word_comes_in_at_most_5_percent_of_repetitions() -> None:
    """Eight methods without any effect, ten seeds each, against the same reference."""
    generator = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        reference, *others = generator.standard_normal((9, 10))
        p = [
            p_of_difference(float(one.mean() - reference.mean()), difference(seeds(reference), seeds(one)))
            for one in others
        ]
        wrong += min(holm(p)) <= 0.05
    assert wrong / 400 < 0.07  # 5 %, and what chance adds in 400 repetitions


def test_methods_stand_as_their_intervals_say() -> None:
    (atlas,) = atlases(runs({NONE: 130.0, PAPER: 120.0, ZONEOUT: 120.1, TIED: 121.0, OWN: 110.0}, spread=0.6))
    assert [method.name for method in atlas.methods] == [
        "my own method", "dropout (the paper's)", "zoneout", "tied weights", "no regularization",
    ]  # fmt: skip
    assert atlas.having("better") == ["my own method"]
    assert atlas.having("equivalent") == ["zoneout"]
    assert atlas.having("worse") == ["tied weights", "no regularization"]
    own = atlas.methods[0]
    assert own.against_none.effect.change == pytest.approx(-20.0)
    assert own.against_paper.effect.change == pytest.approx(-10.0)
    assert own.against_paper.smallest == pytest.approx(1.2)
    assert own.against_paper.with_items is None
    tied, paper = atlas.methods[3].sample.values, atlas.methods[1].sample.values
    alone = stats.ttest_ind(paper, tied, equal_var=False).pvalue
    assert atlas.methods[3].against_paper.over_seeds.p == pytest.approx(2 * alone)  # the third smallest of four


def test_nobody_can_say_by_two_noisy_runs_or_one() -> None:
    for count in (1, 2):
        table = runs({PAPER: 120.0, ZONEOUT: 119.0}, spread=3.0, count=count) if count > 1 else single_runs()
        (atlas,) = atlases(table)
        assert atlas.having("undecided") == ["zoneout"]
        assert "Undecided: zoneout." in report.markdown([atlas], not_run(table))


def single_runs() -> list[RowResults]:
    return gather(registry.ROWS, [make_record(row, 1, metrics={"test_perplexity": 9.0}) for row in (PAPER, ZONEOUT)])


def test_the_report_has_every_method_and_a_users_own_in_words_table_and_figure() -> None:
    table = runs({NONE: 130.0, PAPER: 120.0, OWN: 110.0})
    text, drawn = report.markdown(atlases(table), not_run(table)), atlas_figures.draw(atlases(table))
    assert "- Better than the paper's dropout: my own method." in text
    assert "- Worse than the paper's dropout: no regularization." in text
    assert "| my own method | 10 | 110.0 ± 1.0 | -20.0 (-20.9 to -19.1) |" in text
    assert "None of the methods is tuned on this text." in text
    assert list(drawn) == ["sotu-small-atlas"]
    assert "my own method" in drawn["sotu-small-atlas"]
    assert drawn == atlas_figures.draw(atlases(table))
    assert "zoneout" in text.partition("Not run yet:")[2]


def test_runs_that_diverged_are_counted_beside_the_others() -> None:
    table = [
        replace(one, diverged=(11, 12, 13)) if one.row == OWN else one
        for one in runs({NONE: 130.0, PAPER: 120.0, OWN: 110.0})
    ]
    text = report.markdown(atlases(table), not_run(table))
    assert "| my own method | 10, 3 more diverged | 110.0 ± 1.0 | -20.0 |" in text
    assert "Undecided: my own method." in text


def test_a_method_whose_runs_all_diverged_has_been_run() -> None:
    both = runs({NONE: 130.0, PAPER: 120.0})
    table = [replace(one, diverged=(1, 2)) if one.row == ZONEOUT else one for one in both]
    text = report.markdown(atlases(table), not_run(table), lost(table))
    assert "All runs diverged: zoneout (sotu-zoneout)." in text
    assert "sotu-zoneout" not in text.partition("Not run yet:")[2]


def test_without_runs_there_is_no_atlas() -> None:
    table = gather(registry.ROWS, [])
    found = atlases(table)
    assert (found, report.markdown(found, not_run(table)), atlas_figures.draw(found)) == ([], "", {})
    assert NONE in not_run(table)


def test_a_method_is_not_missing_once_it_has_run_with_other_settings() -> None:
    other = NONE.variant("sotu-none-tuned", lr=0.7)
    table = gather([NONE, other], [make_record(other)])
    assert not_run(table) == []


def test_sources_whose_folders_have_one_name_have_their_own_figures() -> None:
    rows = [NONE.variant(f"none-{place}", source=f"{place}/text") for place in "ab"]
    table = gather(rows, [make_record(row, seed) for row in rows for seed in (1, 2)])
    found = atlases(table)
    drawn = atlas_figures.draw(found)
    text = report.markdown(found, [])
    assert len(drawn) == 2
    assert all(f"({name}.svg)" in text for name in drawn)
    shown = page(table, judge(table), drawn, {})
    assert all(f'id="{identifier(name)}-' in shown for name in drawn)


def test_methods_stand_beside_the_rows_of_another_profile_if_theirs_has_none() -> None:
    plain, dropout = replace(registry.find("ptb-small"), published=None), registry.find("ptb-small-dropout")
    table = runs({plain: 115.0, dropout: 96.0, registry.find("ptb-small-zoneout"): 99.0})
    (atlas,) = atlases(table)
    assert [method.name for method in atlas.methods] == ["dropout (the paper's)", "zoneout", "no regularization"]
    against_none, against_paper = (getattr(atlas.methods[1], f"against_{other}") for other in ("none", "paper"))
    assert (against_none.effect.change, against_paper.effect.change) == pytest.approx((-16.0, 3.0))
    text = report.markdown([atlas], not_run(table))
    assert "None of the methods is tuned on this text." in text
    assert "variational dropout (ptb-small-variational); AWD-LSTM (ptb-small-awd-lstm)" in text
