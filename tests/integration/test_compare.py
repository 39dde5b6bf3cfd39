"""`rnnreg compare` on tiny runs with planted causes; `make causes` tries all of them."""

from pathlib import Path

import pytest
from support.planted import Bench, trained


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("bench"), lines=200, hidden_size=24, epochs=3, flat_epochs=1)
    bench.train_references(3)
    return bench


@pytest.mark.parametrize("cause", ["clipping", "state not carried", "<eos> twice", "dropout at evaluation"])
def test_a_planted_cause_is_named_first(bench: Bench, cause: str) -> None:
    comparison, first = bench.first_cause(bench.first, bench.plant(cause))
    assert first == cause, comparison.causes
    assert comparison.causes[0].reasons


def test_identical_runs_are_said_to_be_identical_and_seeds_to_differ_by_chance(bench: Bench, tmp_path: Path) -> None:
    again = tmp_path / trained(bench.row, tmp_path).run
    comparison, first = bench.first_cause(bench.first, again)
    assert comparison.verdict.startswith("A and B are identical.")
    assert first == ""
    comparison, first = bench.first_cause("planted/seed-1", "planted/seed-2")
    assert comparison.verdict.startswith("The difference of A and B cannot be told from that of seeds: such runs find")
    assert first == "seed"
    whole, _ = bench.first_cause("planted/seed-1", "planted")
    assert whole.evidence.metrics[0].runs == (1, 3)
    assert whole.verdict.startswith("The runs of the seeds that both sides have agree to the last bit; the others")
    assert whole.notes == [
        "Metrics are those of all runs; curves, steps and tokens are compared where both have a seed: 1."
    ]
    assert comparison.notes == []


def test_the_command_writes_text_markdown_and_a_page(bench: Bench, rnnreg, tmp_path: Path) -> None:
    page, markdown = tmp_path / "page.html", tmp_path / "comparison.md"
    words = ["compare", "planted/seed-1", bench.plant("schedule"), "--store", bench.reference]
    code, out, err = rnnreg(*words, "--markdown", markdown, "--page", page)
    assert code == 0, err
    assert "Likely cause\nThe learning rate of B falls later than that of A" in out
    assert "Train perplexity: differs from epoch 2 on" in out
    assert "| test tokens by | group |" in markdown.read_text()
    assert "&#60;eos&#62;" in markdown.read_text()  # not a tag
    html = page.read_text()
    assert html.count("<svg") == 1
    assert "&lt;eos&gt;" in html
    assert rnnreg(*words, "--page", page)[0] == 0
    assert page.read_text().count('<section id="comparison">') == 1  # it takes the place of the one before


def log_of(curve: list[dict[str, float]], path: Path, factor: float = 1.0) -> Path:
    lines = [f"{point['epoch']},{point['validation_perplexity'] * factor}" for point in curve]
    path.write_text("epoch,perplexity\n" + "\n".join(lines) + "\n")
    return path


def test_a_published_log_stands_for_a_side(bench: Bench, tmp_path: Path) -> None:
    own, _ = bench.first_cause("planted/seed-1", "planted/seed-2")
    record = own.evidence.a.records[0]
    metrics = record.metrics
    convention = metrics["validation_perplexity_authors_convention"] / metrics["validation_perplexity"]
    _, first = bench.first_cause("planted/seed-1", log_of(record.curve, tmp_path / "log.csv", convention))
    assert first == "authors' convention"
    _, first = bench.first_cause("planted/seed-1", log_of(own.evidence.b.records[0].curve, tmp_path / "log.csv"))
    assert first == "seed"
    found, first = bench.first_cause("planted/seed-1", log_of(record.curve, tmp_path / "log.csv", 2.0))
    assert found.verdict == "A and B differ by more than seeds do."
    assert first == "training from the start"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "needs a header with `epoch`"),
        ("epoch\n1\n", "needs a header with `epoch`"),
        ("epoch,perplexity\n1,100\n2,\n", "line 3: expected 2 numbers (epoch, validation_perplexity), got ['2', '']"),
        ("epoch,perplexity\n1,100\n3,90\n", "line 3: epoch 3 follows 1; fill the gap"),
        ("epoch,perplexity\n1,nan\n", "line 2: expected 2 numbers"),
        ("epoch,perplexity\n1,0.5\n", "the perplexity is at least 1"),
    ],
)
def test_a_log_with_gaps_is_refused_in_a_line(bench: Bench, rnnreg, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    code, _, err = rnnreg("compare", "planted", tmp_path / "log.csv", "--store", bench.reference)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err


def test_sides_that_are_nothing_are_refused_in_a_line(bench: Bench, rnnreg, tmp_path: Path) -> None:
    for words, message in (
        (("nothing", "planted"), "'nothing' is no run, row, store or CSV file"),
        (("planted", "planted@0000000"), "has no runs of planted at 0000000; it has some at"),
        ((tmp_path / "none.csv", "planted"), "none.csv is missing"),
    ):
        code, _, err = rnnreg("compare", *words, "--store", bench.reference)
        assert (code, err.count("\n")) == (1, 1)
        assert message.replace("'nothing'", "nothing") in err
    broken = next(bench.reference.glob("planted/seed-3-*/record.json"))
    whole = broken.read_text()
    broken.write_text(whole[: len(whole) // 2])
    code, _, err = rnnreg("compare", "planted/seed-3", "planted/seed-1", "--store", bench.reference)
    broken.write_text(whole)
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be read as JSON" in err
