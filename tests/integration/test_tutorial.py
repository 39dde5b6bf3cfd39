"""The tutorial does what it says: its blocks are run as they stand, and its figures are those of the records."""

import contextlib
import io
import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import pytest
from support.corpora import write_text
from support.factories import tiny_flags

from benchmark.store.records import Record, Store
from benchmark.tasks import registry

TOP = Path(__file__).parents[2]
TUTORIAL = TOP / "docs" / "tutorial.md"
TEXT = TUTORIAL.read_text()
PROSE = " ".join(TEXT.split())

METRICS = ("validation_perplexity", "test_perplexity")


class Block(NamedTuple):
    """A fenced block of the tutorial."""

    line: int
    language: str
    body: str
    output: str
    """Body of the output block that follows, empty if there is none."""


def blocks(language: str) -> list[Block]:
    found = list(re.finditer(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.M | re.S))
    return [
        Block(TEXT[: block.start()].count("\n") + 2, language, block[2], following[2] if is_output(following) else "")
        for block, following in pairwise([*found, None])
        if block[1] == language
    ]


def is_output(block: re.Match[str] | None) -> bool:
    return block is not None and block[1] == "text"


def table_under(header: str) -> list[list[str]]:
    """Cells of the table with this header row."""
    lines = TEXT.partition(f"{header}\n")[2].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1 : lines.index("")]]
    assert cells, f"the tutorial has no table {header}"
    return cells


@pytest.fixture(scope="module")
def committed() -> dict[str, dict[int, Record]]:
    """The committed records of the State of the Union rows, by row and seed."""
    found: dict[str, dict[int, Record]] = {}
    for record in Store(TOP / "results" / "records").records():
        if record.row.startswith("sotu-"):
            found.setdefault(record.row, {})[record.seed] = record
    return found


@pytest.fixture
def shell(rnnreg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a line of the tutorial in an empty folder, on a tiny text; gives its output.

    Rows are trained as small variants, whose names stand for the rows' afterwards.
    """
    monkeypatch.chdir(tmp_path)
    small = [*tiny_flags(write_text(Path("text"))), "--accelerator=cpu", "--threads=1"]
    variants: dict[str, str] = {}

    def call(program: str, command: str, *words: str) -> str:
        assert program == "rnnreg"
        if command != "run":
            words = tuple(variants.get(word, word) for word in words)
        code, out, err = rnnreg(command, *words, *(small if command == "run" else []))
        assert code == 0, f"rnnreg {command} {' '.join(words)}: {err}"
        if command == "run":
            out = "".join(out.splitlines(keepends=True)[-2:])  # progress comes before
            variants[words[0]] = Path(out.split()[-1]).parts[1]
            out = out.replace(variants[words[0]], words[0])
        return out

    return call


def shape(output: str) -> str:
    """Output with every figure, duration and checksum masked."""
    return re.sub(r"-[0-9a-f]{8}/|\d[\d.]*( (s|min|h)$)?", "N", output, flags=re.M)


def test_every_python_block_prints_what_the_tutorial_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOP)
    namespace: dict[str, object] = {}
    for block in blocks("python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * block.line + block.body, str(TUTORIAL), "exec"), namespace)
        assert printed.getvalue() == block.output, f"{TUTORIAL}, line {block.line}"


def test_every_output_belongs_to_a_block() -> None:
    outputs = [block for language in ("python", "bash") for block in blocks(language) if block.output]
    assert len(outputs) == len(blocks("text"))


def test_shell_blocks_run(shell: Callable[..., str]) -> None:
    """Each is run on a tiny text; what it prints looks as in the tutorial."""
    for block in blocks("bash"):
        lines = block.body.splitlines()
        if lines[0].startswith("make "):
            assert f"\n{lines[0].removeprefix('make ')}: " in (TOP / "Makefile").read_text()
            assert lines[1:] == ["source .venv/bin/activate", "python"]
            continue
        printed = "".join(shell(*shlex.split(line)) for line in lines)
        if block.output.startswith("the meaning of life is "):
            assert printed.startswith("the meaning of life is ")
        elif block.output:
            assert shape(printed) == shape(block.output)


def test_figures_of_the_real_runs_are_those_of_their_records(committed) -> None:
    (runs,) = [block for block in blocks("bash") if block.body.startswith("rnnreg run sotu-small --seed 1")]
    commands, lines = runs.body.splitlines(), runs.output.splitlines()
    for command, headline, path in zip(commands, lines[::2], lines[1::2], strict=True):
        record = committed[command.split()[2]][1]
        validation, test = (record.metrics[name] for name in METRICS)
        assert headline == (
            f"{record.row} seed 1: validation perplexity {validation:.1f}, test perplexity {test:.1f}, "
            f"{record.wall_seconds:.0f} s"
        )
        assert path == f"record: runs/{record.run}/record.json"
        assert command.startswith(record.command)
    without, with_dropout = (committed[row][1] for row in ("sotu-small", "sotu-small-dropout"))
    assert f"among {without.metrics['test_perplexity']:.0f} equally likely words" in PROSE
    assert f"With dropout it is {with_dropout.metrics['test_perplexity']:.0f}." in PROSE
    assert "one core of a busy AMD processor" in PROSE
    assert "AMD" in without.device
    assert without.device.endswith("1 thread")


def test_number_of_words_is_that_of_the_parameters(committed) -> None:
    """Embedding and softmax have 2 x 64 + 1 parameters a word, each of two layers 4 x 64 x (64 + 64 + 2)."""
    words = (committed["sotu-small"][1].parameters - 2 * 4 * 64 * (64 + 64 + 2)) / (2 * 64 + 1)
    assert f"vocabulary of {words:,.0f} words" in PROSE
    assert words.is_integer()


def test_sample_is_the_beginning_of_the_records(committed) -> None:
    (sample,) = [block for block in blocks("bash") if block.body.startswith("rnnreg sample")]
    words = sample.body.split()
    text = committed[words[2]][1].samples[0]["text"]
    assert text.startswith(sample.output.strip())
    drawn = sample.output.removeprefix("the meaning of life is").replace(".", " .").split()
    assert len(drawn) == int(words[words.index("--words") + 1])


def test_means_over_seeds_are_those_of_the_records(committed) -> None:
    for name, dropout, *figures in table_under("| row | dropout | training | validation | test |"):
        records = committed[name.strip("`")].values()
        assert len(records) == 10
        means = [mean(record.curve[-1]["train_perplexity"] for record in records)]
        means += [mean(record.metrics[metric] for record in records) for metric in METRICS]
        assert figures == [f"{value:.1f}" for value in means], name
        configuration = next(iter(records)).configuration
        expected = f"{configuration['dropout']}" if configuration["dropout"] else "none"
        assert dropout == expected + (", through time too" if configuration["recurrent_dropout"] else "")


def test_table_1_is_the_papers() -> None:
    for name, *figures in table_under("| row | validation | test |"):
        row = registry.find(re.findall("`(.*)`", name)[0])
        assert figures == [str(row.published.metrics[metric]) for metric in METRICS]
        assert not (row.config.dropout and "no dropout" in name)
