"""Tables and figures from made-up records whose figures are known."""

import csv
import io
from pathlib import Path

import pytest
from support.factories import make_record

from benchmark.analysis.results import NOT_RUN, gather, read_store
from benchmark.analysis.samples import Sample
from benchmark.reports import figures, tables, write
from benchmark.store.records import Store
from benchmark.tasks import language_modeling, registry
from benchmark.tasks.base import NOT_IN_PAPER, Row
from datamodules.errors import UserError

SMALL, MEDIUM = language_modeling.PTB_SMALL, language_modeling.PTB_MEDIUM
MEDIUM_WITHOUT = registry.find("ptb-medium")


def measured(row: Row, *values: float):
    return [
        make_record(row, seed, metrics={"validation_perplexity": value + 5, "test_perplexity": value})
        for seed, value in enumerate(values, 1)
    ]


def test_mean_deviation_paper_and_difference() -> None:
    table = gather([SMALL], measured(SMALL, 114.0, 116.0))
    line = next(line for line in tables.markdown(table).splitlines() if line.startswith("| small"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:6] == ["small", "none", "2", "50.0 ± 0.0", "120.0 ± 1.4", "115.0 ± 1.4"]
    assert cells[6:8] == ["120.7 / 114.5", "– / +0.5"]  # no run has the validation figure as the paper measured it
    row = next(csv.DictReader(io.StringIO(tables.as_csv(table))))
    assert float(row["test_perplexity_mean"]) == 115
    assert float(row["test_perplexity_sd"]) == pytest.approx(2**0.5, abs=1e-4)
    assert float(row["test_perplexity_difference"]) == 0.5
    assert row["seeds"] == "2"


def test_a_single_run_has_no_deviation_and_a_row_without_runs_says_so() -> None:
    text = tables.markdown(gather([SMALL, MEDIUM], measured(SMALL, 114.0)))
    assert "| 114.0 |" in text
    assert text.count(NOT_RUN) == 3


def test_effect_of_dropout_compares_rows_that_differ_in_it_alone() -> None:
    everything = [MEDIUM_WITHOUT, MEDIUM, registry.find("ptb-medium-recurrent-dropout")]
    records = measured(MEDIUM_WITHOUT, 120.0, 130.0) + measured(MEDIUM, 90.0, 110.0) + measured(everything[2], 200.0)
    text = tables.markdown(gather(everything, records))
    means = "| medium | test perplexity | 125.0 ± 7.1 | 100.0 ± 14.1 |"
    assert f"{means} -25.0 (-94.2 to +44.2) | no difference shown | – | 2 runs each |" in text


@pytest.mark.parametrize(
    ("without", "regularized", "outcome"),
    [
        ((124.0, 126.0, 125.0), (99.0, 101.0, 100.0), "better by 20%"),
        ((99.0, 101.0, 100.0), (124.0, 126.0, 125.0), "worse by 25%"),
        ((99.0, 101.0, 100.0), (98.0, 100.0, 99.0), "no difference shown"),  # -1.0 (-3.3 to +1.3)
        ((100.0,), (50.0,), ""),
    ],
)
def test_an_effect_is_put_into_words_only_where_its_interval_shows_it(without, regularized, outcome) -> None:
    records = measured(MEDIUM_WITHOUT, *without) + measured(MEDIUM, *regularized)
    text = tables.markdown(gather([MEDIUM_WITHOUT, MEDIUM], records))
    line = next(line for line in text.splitlines() if line.startswith("| medium | test perplexity |"))
    assert line.split(" | ")[5] == outcome


def test_a_metric_below_its_floor_is_not_put_into_words() -> None:
    rows = [registry.find("multi30k-large"), registry.find("multi30k-large-dropout")]
    scores = ((0.6, 0.7, 0.8), (1.6, 1.7, 1.8))
    records = [
        make_record(row, seed, metrics={"test_bleu": score, "test_perplexity": 30.0 + score})
        for row, of_row in zip(rows, scores, strict=True)
        for seed, score in enumerate(of_row, 1)
    ]
    line = next(line for line in tables.markdown(gather(rows, records)).splitlines() if "+1.0 (" in line)
    assert line.startswith("| large | test BLEU |")
    assert "| too low to tell |" in line


def test_only_a_rows_own_records_count() -> None:
    changed = SMALL.variant(SMALL.name, epochs=1)
    other_data = make_record(SMALL, 3, data_sha256="f" * 64)
    notes: list[str] = []
    (results,) = gather([SMALL], [*measured(SMALL, 114.0, 116.0), make_record(changed, 9), other_data], notes)
    assert [record.seed for record in results.records] == [1, 2]
    of_configuration, of_data = notes
    assert of_configuration == "ptb-small: 1 record of another configuration or protocol"
    assert of_data.startswith("ptb: 1 run of data ffffffff (ptb-small); shown are 2 runs of data dddddddd (ptb-small)")


def test_records_of_no_row_are_named(tmp_path: Path, capsys) -> None:
    own = [SMALL.variant(name) for name in ("mine", "yours", "ptb-small+lr=2", "theirs")]
    for row in (SMALL, *own, own[-1].variant("theirs", epochs=2)):
        Store(tmp_path).write(make_record(row, 1), {})
    assert len(read_store([SMALL], tmp_path)[0].records) == 1
    assert not capsys.readouterr().err
    read_store([SMALL], tmp_path, every_row=True)
    warning = "5 records of what is no row here: mine, ptb-small+lr=2, theirs and 1 more; rows of your own need"
    assert capsys.readouterr().err.startswith(f"rnnreg: left out: {warning}")


def test_a_figure_that_would_fill_the_page_is_rounded() -> None:
    assert Sample((1e81, 3e81), (1, 2)).show(1) == "2e+81 ± 1e+81"


def test_rows_that_the_paper_lacks_say_so() -> None:
    with_figures = {"ptb-small", "ptb-medium-dropout", "ptb-large-dropout", "ptb-awd-lstm"}
    for row in registry.ROWS:
        if row.config.source == "ptb":
            assert (row.published is not None) == ((row.ensemble_of or row.name) in with_figures)
            assert row.note.endswith(NOT_IN_PAPER) == (row.published is None)


def test_quick_tables_say_that_they_are_no_match_for_the_paper() -> None:
    text = tables.markdown(gather([row for row in registry.ROWS if "quick" in row.profiles], []))
    assert "not comparable with the paper's numbers" in text
    assert "paper (" not in text


def test_check_finds_a_stale_file_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    path.write_text("old")
    assert write.stale({path: "new"}) == [path]
    assert path.read_text() == "old"
    assert write.write({path: "new"}) == [path]
    assert path.read_text() == "new"
    assert write.stale({path: "new"}) == write.write({path: "new"}) == []


def test_the_readme_takes_the_summary_and_keeps_the_rest(tmp_path: Path) -> None:
    table, page = gather([SMALL], measured(SMALL, 114.0)), tmp_path / "README.md"
    page.write_text(f"a\n{write.BEGIN}\nold\n{write.END}\nb")
    assert write.readme(table, page) == {page: f"a\n{write.BEGIN}\n\n{tables.summary(table)}\n{write.END}\nb"}
    page.write_text("nothing")
    with pytest.raises(UserError, match=r"README.md has no place for the results"):
        write.readme(table, page)
    with pytest.raises(UserError, match="No such file"):
        write.readme(table, tmp_path / "none.md")


def test_the_summary_has_the_paper_s_sizes_and_the_largest_of_each_other_task() -> None:
    pair = [registry.find(name) for name in ("multi30k-large", "multi30k-large-dropout")]
    records = [*measured(SMALL, 114.0, 116.0)]
    records += [make_record(row, metrics={"test_bleu": 30.0 + place}) for place, row in enumerate(pair)]
    lines = [line for line in tables.summary(gather(registry.ROWS, records)).splitlines() if line.startswith("|")]
    assert len(lines) - 2 <= 12
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [line[1] for line in cells] == ["small", "medium", "large", "large", "large", "large", "–", "–"]
    assert cells[0][2:] == ["test perplexity", "115.0 ± 1.4 (2)", NOT_RUN, "–", "114.5", "–"]
    assert cells[2][-2:] == ["–", "78.4"]
    assert cells[4][3:] == ["30.0 (1)", "31.0 (1)", "+1.0", "–", "–"]
    assert [line[0].split(",")[0] for line in cells if line[0]][1:] == ["Speech", "Translation", "Image captions"]


def test_figures_are_drawn_the_same_each_time() -> None:
    records = measured(MEDIUM_WITHOUT, 120.0, 130.0) + measured(MEDIUM, 90.0)
    table = gather([MEDIUM_WITHOUT, MEDIUM], records)
    first, second = (figures.draw(table) for _ in range(2))
    assert first == second
    assert set(first) == {"effects", "paper", "ptb"}
    for text in (
        "validation, dropout",
        "training, no dropout",
        "medium (2 seeds, 1 with dropout)",
        "epoch",
        "perplexity",
    ):
        assert text in first["ptb"]
    assert "ptb, medium" not in first["effects"]  # the only size needs no name
    assert "90.0, paper 82.7" in first["paper"]
    assert figures.draw(gather([SMALL], [])) == {}


def test_the_legend_names_the_lines_of_every_size() -> None:
    table = gather([SMALL, MEDIUM], measured(SMALL, 115.0) + measured(MEDIUM, 83.0))
    drawn = figures.draw(table)["ptb"]
    for label in ("training, no dropout", "validation, no dropout", "training, dropout", "validation, dropout"):
        assert drawn.count(f">{label}<") == 1


def test_what_needs_no_model_and_what_was_left_out_is_said_once() -> None:
    details = {"baselines": {"majority class": {"test_perplexity": 900.0}}, "left_out": {"too short": 3}}
    records = [make_record(SMALL, seed, details=details, metrics={"test_perplexity": 114.0}) for seed in (1, 2)]
    text = tables.markdown(gather([SMALL, MEDIUM], records))
    (line,) = (line for line in text.splitlines() if line.startswith("| majority class"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["majority class", "none", "–", "–", "–", "900.0", "–", "–", "–", "–", "no model"]
    assert text.count("Left out of the data: 3 (too short).") == 1


def test_an_effect_on_nothing_has_no_percentage() -> None:
    plain, regularized = registry.find("openmoji"), registry.find("openmoji-dropout")
    records = [
        make_record(row, metrics={"validation_perplexity": 9.0, "test_perplexity": 8.0, "test_bleu": bleu})
        for row, bleu in ((plain, 0.0), (regularized, 1.5))
    ]
    text = tables.markdown(gather([plain, regularized], records))
    assert "| regularized | test BLEU | 0.0 | 1.5 | +1.5 |  | – | 1 run each |" in text
    assert "| 9.00 | 8.00 | 1.5 | 7.99 / 24.3 |" in text
