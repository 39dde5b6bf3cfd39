"""Models of several seeds, their ensemble, and the models that ship with the suite."""

import contextlib
import io
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.scenes import is_true

from benchmark.analysis import ensembles
from benchmark.grid.grid import silent
from benchmark.sharing.evaluation import evaluate_ensemble, members
from benchmark.sharing.trained import SHIPPED
from benchmark.store.records import Store, read_record
from benchmark.tasks import registry
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.captioning.scenes import PICTURES, scenes, svg
from models import load

ROOT = Path(__file__).parents[2]

SHIPPED_MODELS = sorted(path.parent for path in SHIPPED.glob("*/config.json"))

DRAWINGS = sorted((ROOT / "docs" / "scenes").glob("*.svg"))
"""Drawings for a first try of the captioner."""
DRAWN = scenes()[sum(PICTURES.values()) :][:10]
"""Their scenes, which no split holds."""

LARGEST = 2_000_000
"""Bytes of the largest folder that ships."""


def test_all_seeds_the_best_of_them_and_their_ensemble(tiny_row, rnnreg, tmp_path) -> None:
    options = Options(data=tmp_path / "data", store=tmp_path / "runs", accelerator="cpu", threads=1, wandb="off")
    records = [train(tiny_row, seed, options, progress=silent) for seed in (1, 2)]
    places = ["--store", tmp_path / "runs", "--data", tmp_path / "data"]
    code, out, err = rnnreg("evaluate", "tiny", "--all_seeds", *places)
    assert code == 0, err
    assert "tiny seed 1\n" in out
    mean = sum(record.metrics["test_perplexity"] for record in records) / 2
    assert re.search(rf"test_perplexity +{mean:.4f}", out.split("mean of 2")[1])
    best = min(records, key=lambda record: record.metrics["validation_perplexity"])
    code, out, err = rnnreg("sample", "tiny", *places[:2], "--words", 3)
    assert code == 0, err
    assert f"rnnreg: tiny seed {best.seed}, the best on validation data" in err

    average = replace(tiny_row, name="tiny-average-2", ensemble_of="tiny", members=2)
    every, runs = [tiny_row, average], Store(tmp_path / "runs")
    (made,) = ensembles.update([average], every, runs, tmp_path / "data")
    found = evaluate_ensemble(average, members(average, every, runs), runs, tmp_path / "data")
    assert found.metrics == made.metrics
    assert list(found.remarks) == ["2 of 2 members: seeds 1, 2"]

    train(tiny_row.variant("tiny", lr=0.5), 3, options, progress=silent)
    for words in (("evaluate", "tiny", "--all_seeds"), ("evaluate", "tiny"), ("export", "tiny", tmp_path / "model")):
        code, out, err = rnnreg(*words, *places)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "several runs of tiny which differ in configuration or data; name the folder of one: " in err


def test_a_run_that_was_kept_from_its_test_set_is_said_to_be(tiny_row, rnnreg, tmp_path) -> None:
    options = Options(data=tmp_path / "data", store=tmp_path / "runs", accelerator="cpu", threads=1, wandb="off")
    train(tiny_row.variant("trial", validation_only=True), 1, options, progress=silent)
    words = ("evaluate", "trial", "--store", tmp_path / "runs", "--data", tmp_path / "data")
    code, _, err = rnnreg(*words)
    assert (code, "rnnreg: the run was kept from its test set (--validation_only), and this has read it" in err) == (
        0, True,
    )  # fmt: skip
    code, _, err = rnnreg(*words, "--method", "temperature")
    assert (code, err.count("\n")) == (1, 1)
    assert "trial seed 1 was trained with --validation_only, so that its record has no test perplexity" in err


def test_a_model_of_each_task_ships_and_each_is_small() -> None:
    tasks = {read_record(folder / "record.json").task for folder in SHIPPED_MODELS}
    assert tasks == {row.config.task for row in registry.ROWS}
    for folder in SHIPPED_MODELS:
        assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST


@pytest.mark.parametrize("folder", SHIPPED_MODELS, ids=lambda folder: folder.name)
def test_what_ships_is_a_row_of_today_and_its_card_has_the_records_figures(folder: Path) -> None:
    record, row = read_record(folder / "record.json"), registry.find(folder.name)
    assert registry.configuration_of(record) == row.config
    assert record.fingerprint == row.config.fingerprint()
    assert record.is_clean
    load(folder)
    card = (folder / "README.md").read_text()
    for metric in row.config.headline:
        (shown,) = re.findall(rf"^\| {re.escape(metric.label)} \| ([\d.]+) \|", card, re.MULTILINE)
        assert float(shown) == pytest.approx(record.metrics[metric.name], abs=0.0101)


def test_a_row_without_runs_is_used_from_what_ships(rnnreg, tmp_path) -> None:
    code, out, err = rnnreg("sample", "sotu-medium-dropout", "--store", tmp_path, "--words", 3)
    assert code == 0, err
    assert len(out.split()) == 8
    assert "the model that ships with the suite is used" in err
    assert rnnreg("sample", "sotu-medium-dropout", "--seed", 77, "--store", tmp_path)[0] == 1


def test_the_example_in_python_prints_what_the_page_says(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "models.md").read_text()
    ((code, expected),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert printed.getvalue() == expected


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_first_command_gives_what_the_page_says(rnnreg, monkeypatch, tmp_path, page: str) -> None:
    text = (ROOT / page).read_text()
    words = re.findall(r"rnnreg (sample [^\n]*)", text)[0]
    monkeypatch.chdir(tmp_path)
    code, out, err = rnnreg(*shlex.split(words))
    assert code == 0, err
    assert " ".join(out.split()) in " ".join(text.replace("\n> ", "\n").split())


def test_the_drawings_to_try_are_scenes_that_no_split_holds() -> None:
    assert [path.read_text() for path in DRAWINGS] == [svg(scene) for scene in DRAWN]
    assert len(DRAWINGS) == 10


def test_captions_of_new_drawings_are_true_more_often_than_not(rnnreg, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "models.md").read_text()
    block = r"rnnreg caption docs/scenes/\*.svg ([^\n]*)\n```\n\n```text\n(.*?)```"
    ((options, shown),) = re.findall(block, page, re.DOTALL)
    code, out, err = rnnreg(
        "caption", *(path.relative_to(ROOT) for path in DRAWINGS), *shlex.split(options), "--store", tmp_path
    )
    assert code == 0, err
    captions = [line.partition(": ")[2] for line in out.splitlines()]
    assert len(captions) == len(DRAWINGS)
    true = sum(is_true(caption, scene) for caption, scene in zip(captions, DRAWN, strict=True))
    assert true > len(DRAWINGS) / 2
    assert out == shown
