"""The atlas from end to end: a user's own method is tuned, run on fresh seeds and shown beside the others."""

import json
import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.factories import TINY

from benchmark.grid import launchers
from benchmark.grid.launchers.base import Launcher, Work
from benchmark.store.records import Store
from benchmark.training.options import Options

ROOT = Path(__file__).parents[2]


class Inline(Launcher):
    """Does the work in this process, since starting others takes longer than tiny runs."""

    slots, description = 1, "in this process"

    def __init__(self, options: Options) -> None:
        self.options = replace(options, threads=1)

    def launch(self, work: Work, arguments: Sequence[Any]) -> list[Future[Any]]:
        futures = []
        for argument in arguments:
            futures.append(future := Future())
            future.set_result(work(argument))
        return futures

    def close(self, abort: bool) -> None:
        pass


@pytest.fixture
def here(tmp_path, text_folder, monkeypatch) -> list[object]:
    """The method of docs/methods.md on a tiny text, beside none and the paper's dropout."""
    monkeypatch.setattr(launchers, "make_launcher", lambda _kind, options, *_, **__: Inline(options))
    name = f"methods_{abs(hash(str(tmp_path)))}"
    code = re.search(r"```python\n# my_noise.py\n(.*?)```", (ROOT / "docs/methods.md").read_text(), re.DOTALL)[1]
    tiny = {**TINY, "source": str(text_folder)}
    changed = code.replace("my_noise.", f"{name}.").replace('"my own", ', f'"my own", **{tiny!r}, ')
    assert len(code.splitlines()) <= 30
    (tmp_path / f"{name}.py").write_text(
        changed + "ROWS += [registry.find(f'sotu-{one}').variant(f'tiny-{one}', '', "
        f"**{tiny!r}) for one in ('none', 'dropout')]\n"
    )
    where = ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    return ["--rows_file", tmp_path / f"{name}.py", *where]


def test_a_method_of_ones_own_is_tuned_and_stands_beside_the_others(rnnreg, here, tmp_path) -> None:
    store = tmp_path / "runs"
    space = ["--space", '{"epochs": {"choices": [1, 2]}}', "--trials"]
    code, out, err = rnnreg("tune", "sotu-noise", *space, 1, *here)
    assert code == 0, err
    code, out, err = rnnreg("tune", "sotu-noise", *space, 2, *here)
    assert code == 0, err
    assert "1 of 2 runs are in the store already" in out
    assert "test" not in out.replace(str(tmp_path), "").partition("runs,")[2]
    for record in Store(store / "tuning").records():
        assert record.seed == 0
        assert "test_" not in json.dumps([record.metrics, record.curve])
    winner = re.search(r"variant\('sotu-noise-tuned', .*, backbone_options=\{'deviation': ([\d.]+)\}\)", out)
    assert winner, out
    assert "expected best validation perplexity of 1, 2 trials" in out

    tuned = ["--rows_file", store / "tuning" / "tuned_sotu_noise.py"]
    seeds = ["--seeds", 2, *here[2:]]
    code, out, err = rnnreg("reproduce", "--only", "tiny-none,tiny-dropout,sotu-noise-tuned", *tuned, *seeds)
    assert code == 0, err
    (record, _) = [one for one in Store(store).records() if one.row == "sotu-noise-tuned"]
    assert record.configuration["backbone_options"] == {"deviation": float(winner[1])}
    assert {"test_perplexity", "validation_perplexity"} <= record.metrics.keys()

    text = (store / "atlas.md").read_text()
    assert re.search(
        r"\| multiplicative noise \| 2 \| [\d.]+ ± [\d.]+ \|.*\*\*(better|equivalent|worse|undecided)\*\*", text
    )
    assert re.search(rf"\| multiplicative noise \| 2 \| 0 \| 0.00 \| .*backbone_options.deviation {winner[1]}", text)
    assert "| no regularization | 0 | – | – | – | – | not tuned |" in text
    assert "unequal budgets" in text
    assert re.search(r"fairly: 2 of multiplicative noise; 0 of [^.]+\.", text)
    for figure in ("atlas", "tuning"):
        assert "multiplicative noise" in (store / f"text-small-{figure}.svg").read_text()
    page = (store / "report.html").read_text()
    assert all(page.count(f'aria-label="{label}') == 1 for label in ("Ways to regularize, small size", "Tuning:"))


def test_what_cannot_be_tuned_is_one_line(rnnreg, here) -> None:
    for words, message in {
        ("ptb-large",): "ptb-large declares no space to tune in; give one with --space, or declare it in its row",
        ("sotu-nois",): "there is no row 'sotu-nois'; did you mean sotu-noise",
        ("sotu-noise", "--space", '{"nois": [0, 1]}'): "sotu-noise: there is no field 'nois' to tune",
        ("sotu-noise", "--space", '{"lr": [1, 0]}'): "--space: lr: expected two numbers in order, got 1 and 0",
        ("sotu-noise", "--trials", "0"): "--trials: expected a whole number >0, got 0",
    }.items():
        code, out, err = rnnreg("tune", *words, *here)
        assert code == 2 or out == "", out
        assert message in err


def test_a_surface_is_run_resumed_and_made_again(rnnreg, here, tmp_path) -> None:
    grid = ["surface", "tiny-none", "--fractions", "1/2,1", "--rates", "0,0.3", "--seeds", 1, *here]
    code, out, err = rnnreg(*grid, "--dry-run")
    assert (code, "4 runs to do" in out) == (0, True), err
    code, out, err = rnnreg(*grid)
    assert code == 0, err
    assert re.search(r"\| 8 \| 1/2 \| [\d.]+ \| [\d.]+ \| 0.3 \| 1 \|", out)
    half = next(one for one in Store(tmp_path / "runs" / "surface").records() if "text-0.5" in one.row)
    assert (half.configuration["epochs"], len(half.curve)) == (4, 4)
    assert any("are trained on" in note for note in half.details["notes"])
    code, out, err = rnnreg(*grid)
    assert "4 of 4 runs are in the store already" in out
    for words, message in {
        ("--rates", "0.1,0.2"): "--rates 0.1,0.2: expected 0 and another probability",
        ("--rates", "0,high"): "--rates 0,high: expected numbers such as 0.25 or 1/4",
        ("--fractions", "1/0"): "--fractions 1/0: expected numbers",
        ("--fractions", "2"): "train_fraction: 2.0 is out of range, must be from 0.001 to 1",
    }.items():
        code, out, err = rnnreg("surface", "tiny-none", *words, *here)
        assert (code, message in err) == (1, True), err
