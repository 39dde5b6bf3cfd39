"""Trained models of every task through `rnnreg evaluate` and `rnnreg export`: each figure comes back."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
import torch
from huggingface_hub import ModelCard
from support.factories import TASKS, diverge
from support.trained import table_of

from benchmark.cli import main
from benchmark.sharing.graphs import export_graphs
from benchmark.store.records import Store
from datamodules.errors import UserError
from models import load
from models.language_model import LanguageModel


@pytest.mark.parametrize("task", [*TASKS, "tied"])
def test_every_figure_comes_back_from_a_run_and_from_an_exported_folder(trained, rnnreg, tmp_path, task) -> None:
    record, row = trained.records[task], trained.rows[task]
    code, out, err = rnnreg("export", row.name, tmp_path / "model", "--onnx", *trained.places)
    assert code == 0, err
    assert f"{len(record.metrics)} of {len(record.metrics)} figures are the record's to the last bit" in out
    assert "from the network's and by at most" in out
    assert f"hf upload YOUR_NAME/{row.name} " in out
    assert not any(name.endswith((".ckpt", ".pkl", ".bin", ".pt")) for name in map(str, (tmp_path / "model").iterdir()))
    for model in (row.name, tmp_path / "model"):
        code, out, err = rnnreg("evaluate", model, *trained.places)
        assert code == 0, err
        figures = table_of(out)
        assert {name: figures[name][-1] for name in record.metrics} == dict.fromkeys(record.metrics, "+0")
        assert f"{len(record.metrics)} of {len(record.metrics)} figures are the record's" in err


@pytest.mark.parametrize("option", [{"layer_norm": True}, {"zoneout_cell": 0.1, "zoneout_hidden": 0.1}], ids=str)
def test_a_stack_that_onnx_has_no_layer_for_is_refused(option, tmp_path) -> None:
    model = LanguageModel(
        ["a", "b"], 0.1, 1.0, 1, 1, hidden_size=4, layers=1, dropout=0.0, recurrent_dropout=0.0, cell="lstm",
        backbone="models.backbone.RegularizedLSTM", **option,
    )  # fmt: skip
    with pytest.raises(UserError, match=f"no recurrent layer with {' and '.join(option)}; export .* without --onnx"):
        export_graphs(model, model, tmp_path, tmp_path, data=None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", TASKS)
def test_the_card_is_one_that_the_hub_reads(trained, rnnreg, tmp_path, task) -> None:
    record = trained.records[task]
    rnnreg("export", trained.rows[task].name, tmp_path / "model", *trained.places)
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.model_name == record.row
    assert card.data.library_name == "rnnreg"
    shown = {result.metric_name: result.metric_value for result in card.data.eval_results}
    expected = {metric.label: record.metrics[metric.name] for metric in trained.rows[task].config.headline}
    assert {label: shown[label] for label in expected} == pytest.approx(expected, abs=1e-4)
    assert {result.dataset_split for result in card.data.eval_results} <= {"training", "validation", "test"}
    assert str(trained.folder) not in card.data.to_yaml()


def test_a_card_names_what_regularizes_the_model_beside_dropout(trained, rnnreg, tmp_path) -> None:
    for row, beside in (("lm", ""), ("tied", " beside `averaging=exponential`, `tied=True`, `embedding_size=5`")):
        rnnreg("export", row, tmp_path / row, *trained.places)
        text = ModelCard.load(tmp_path / row / "README.md").text
        assert f"dropout 0.3 on the non-recurrent connections{beside}, " in text


def test_a_card_gives_the_mean_over_the_seeds_of_its_row(trained, rnnreg, tmp_path) -> None:
    """Two records more with 10 and 20 above the first: mean + 10, and Student's interval of three values."""
    record = trained.records["language-modeling"]
    store = tmp_path / "records"
    for seed in (2, 3):
        more = {name: value + 10 * (seed - 1) for name, value in record.metrics.items()}
        Store(store).write(replace(record, seed=seed, metrics=more), {})
    code, _, err = rnnreg("export", "lm", tmp_path / "model", "--records", store, *trained.places)
    assert code == 0, err
    card = ModelCard.load(tmp_path / "model" / "README.md")
    mean = record.metrics["test_perplexity"] + 10
    half = 4.302653 * 10 / 3**0.5
    name = f"test perplexity, mean of 3 runs (95 % interval {mean - half:.2f} to {mean + half:.2f})"
    (value,) = [result.metric_value for result in card.data.eval_results if result.metric_name == name]
    assert value == pytest.approx(mean, abs=1e-3)
    assert f"| {mean:.2f} | {mean - half:.2f} to {mean + half:.2f} | 3 |" in card.text


@pytest.mark.parametrize(
    ("diverged", "beside", "cells"), [(0, "", "– | 2"), (3, " (3 more diverged)", "– | 2, 3 more diverged")]
)
def test_runs_that_tell_nothing_of_other_seeds_give_no_interval(
    trained, rnnreg, tmp_path, diverged, beside, cells
) -> None:
    """Two runs that are alike, and as many beside those that diverged."""
    record, store = trained.records["language-modeling"], tmp_path / "records"
    other = {name: value + bool(diverged) for name, value in record.metrics.items()}
    Store(store).write(replace(record, seed=2, metrics=other), {})
    for seed in range(3, 3 + diverged):
        diverge(store, replace(record, seed=seed))
    diverge(store, replace(record, seed=9, data_sha256="x"))
    code, _, err = rnnreg("export", "lm", tmp_path / "model", "--records", store, *trained.places)
    assert code == 0, err
    card = ModelCard.load(tmp_path / "model" / "README.md")
    names = [result.metric_name for result in card.data.eval_results]
    assert f"test perplexity, mean of 2 runs{beside}" in names
    assert f"{record.metrics['test_perplexity'] + bool(diverged) / 2:.2f} | {cells} |" in card.text


def test_runs_of_another_configuration_take_no_place_in_the_mean(trained, rnnreg, tmp_path) -> None:
    """Runs of one seed, the later of which in the order of their names is of other data, as after a changed source."""
    record = trained.records["language-modeling"]
    for seed in (2, 3):
        for number in range(8):  # the order of their names is that of a checksum
            Store(tmp_path / "records").write(replace(record, seed=seed, data_sha256=f"{number}"), {})
        Store(tmp_path / "records").write(replace(record, seed=seed), {})
    code, _, err = rnnreg("export", "lm", tmp_path / "model", "--records", tmp_path / "records", *trained.places)
    assert (code, err) == (0, "")
    assert f"{record.metrics['test_perplexity']:.2f} | – | 3 |" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize("name", ["recods", "others"])
def test_a_store_without_runs_of_the_row_gives_no_mean(trained, rnnreg, tmp_path, name) -> None:
    Store(tmp_path / "others").write(replace(trained.records["language-modeling"], data_sha256="x"), {})
    code, _, err = rnnreg("export", "lm", tmp_path / "model", "--records", tmp_path / name, *trained.places)
    assert (code, err.count("\n")) == (1, 1)
    assert {"recods": "recods is missing; name", "others": "others has no run of lm with"}[name] in err
    assert not (tmp_path / "model").exists()


def test_weights_that_were_rounded_are_not_said_to_be_the_records(trained, rnnreg, tmp_path) -> None:
    assert rnnreg("export", "lm", tmp_path / "half", "--half", *trained.places)[0] == 0
    assert rnnreg("export", tmp_path / "half", tmp_path / "full", *trained.places)[0] == 0
    assert rnnreg("export", tmp_path / "full", tmp_path / "again", *trained.places)[0] == 0
    for name in ("full", "again"):
        text = (tmp_path / name / "README.md").read_text()
        assert "The weights are float32, and were rounded to half precision (float16) by an earlier export. " in text
        assert "from before they were rounded: those of this model were not measured" in text
    assert rnnreg("export", "lm", tmp_path / "lm", *trained.places)[0] == 0
    text = (tmp_path / "lm" / "README.md").read_text()
    assert "The weights are float32. The figures are those of the run's record.\n" in text


def test_half_precision_halves_the_file_and_is_said(trained, rnnreg, tmp_path) -> None:
    for words in ([], ["--half"]):
        code, _, err = rnnreg("export", "lm", tmp_path / f"model{len(words)}", *words, *trained.places)
        assert code == 0, err
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("model0", "model1")]
    assert sizes[1] < 0.6 * sizes[0]
    assert "The weights are float16" in (tmp_path / "model1" / "README.md").read_text()
    code, _, err = rnnreg("evaluate", tmp_path / "model1", *trained.places)
    assert code == 0
    assert "largest difference from the record: " in err


def test_half_precision_that_changes_a_figure_leaves_no_model(trained, rnnreg, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("benchmark.sharing.export.TOLERANCE", -1.0)
    code, _, err = rnnreg("export", "lm", tmp_path / "model", "--half", *trained.places)
    assert (code, err.count("\n")) == (1, 1)
    assert "export without --half" in err
    assert not (tmp_path / "model" / "config.json").exists()


def test_a_text_is_scored_in_all_and_by_line_as_the_record_was(trained, rnnreg, tmp_path) -> None:
    test = trained.folder / "text" / "test.txt"
    code, out, err = rnnreg("evaluate", "lm", "--text", test, "--output", tmp_path / "lines.tsv", *trained.places)
    assert code == 0, err
    expected = trained.records["language-modeling"].metrics["test_perplexity"]
    assert float(table_of(out)["perplexity"][0]) == pytest.approx(expected, abs=1e-4)
    with (tmp_path / "lines.tsv").open() as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    assert [line["text"] for line in lines] == test.read_text().splitlines()
    total = sum(float(line["log_probability"]) for line in lines)
    count = sum(int(line["tokens"]) for line in lines)
    assert count == len(test.read_text().split()) + len(lines) - 1
    assert torch.tensor(-total / count).exp() == pytest.approx(expected, rel=1e-4)
    code, out, _ = rnnreg("evaluate", "lm", "--source", trained.folder / "text", *trained.places)
    assert float(table_of(out)["perplexity"][0]) == pytest.approx(expected, abs=1e-4)


def test_unknown_words_are_said_and_left_out_of_the_second_figure(trained, rnnreg, tmp_path) -> None:
    (tmp_path / "own.txt").write_text("the zebra sees you.\nthe cat hears zebra\n")
    code, out, err = rnnreg("evaluate", "lm", "--text", tmp_path / "own.txt", *trained.places)
    assert code == 0, err
    assert "3 of 10 words (30.0%) are not in the vocabulary and read as <unk>: zebra, you." in err
    words = load(next(trained.store.glob("lm/*"))).log_probabilities(
        "the zebra sees you.\nthe cat hears zebra", after=""
    )
    known = words[[1, 3, 4, 5, 6, 8]].double()
    assert table_of(out)["perplexity_of_known_words"] == [f"{torch.exp(-known.mean()):.4f}"]
    code, out, err = rnnreg("evaluate", "lm", "--text", tmp_path / "own.txt", "--running", *trained.places)
    assert "read as <unk>: zebra" in err
    assert "you." not in err


def test_marked_words_are_not_known_and_blank_lines_are_said(trained, rnnreg, tmp_path) -> None:
    """`<unk>` in a text counts as in the records of PTB; every line's `<eos>` counts once, in capitals too."""
    (tmp_path / "own.txt").write_text("the <unk> sees you <EOS>\n\n \nthe cat <eos>\n")
    code, out, err = rnnreg(
        "evaluate", "lm", "--text", tmp_path / "own.txt", "--output", tmp_path / "own.tsv", *trained.places
    )
    assert code == 0, err
    assert "rnnreg: 2 lines are blank, each a sentence of <eos> alone" in err
    found = load(next(trained.store.glob("lm/*"))).log_probabilities("the <unk> sees you\n\n\nthe cat", after="")
    known = found[[1, 2, 3, 4, 5, 6, 7, 8]].double()
    assert table_of(out)["perplexity_of_known_words"] == [f"{torch.exp(-known.mean()):.4f}"]
    assert table_of(out)["predictions"] == ["9"]
    with (tmp_path / "own.tsv").open() as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    assert [line["tokens"] for line in lines] == ["4", "1", "1", "3"]
    assert sum(float(line["log_probability"]) for line in lines) == pytest.approx(float(found.sum()), abs=1e-3)


@pytest.mark.parametrize("method", ["mc-dropout", "temperature", "neural-cache", "dynamic"])
def test_a_method_is_kept_apart_from_the_run(trained, rnnreg, tmp_path, method) -> None:
    store = tmp_path / "runs"
    shutil.copytree(trained.store / "lm", store / "lm")
    code, out, err = rnnreg(
        "evaluate", "lm", "--method", method, "--keep", "--store", store, "--data", trained.folder / "data"
    )
    assert code == 0, err
    (path,) = (store / "evaluations").iterdir()
    kept, record = json.loads(path.read_text()), trained.records["language-modeling"]
    assert (kept["row"], kept["seed"], kept["method"]) == ("lm", 1, method)
    assert kept["plain"]["test_perplexity"] == record.metrics["test_perplexity"]
    assert kept["metrics"]["test_perplexity"] != record.metrics["test_perplexity"]
    assert f"{kept['metrics']['test_perplexity']:.4f}" in out
    if method == "temperature":  # 1.0, which is plain, is among those tried
        assert kept["metrics"]["validation_perplexity"] <= record.metrics["validation_perplexity"] + 1e-6
        assert kept["chosen"] == ["temperature"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "lm", "--text", "none.txt"], "none.txt is missing"),
        (["evaluate", "lm", "--text", "x", "--source", "y"], "--text and --source: give one of them"),
        (["evaluate", "lm", "--rate", "0.1"], "--rate is a setting of a --method, and plain has none"),
        (["evaluate", "lm", "--method", "dynamic", "--samples", "3"], "dynamic has no setting samples; it has segment"),
        (["evaluate", "lm", "--method", "dynamic", "--text", "TEXT"], "needs its settings, --rate, --decay"),
        (["evaluate", "pairs", "--method", "dynamic"], "holds a Translator; --method dynamic is for language models"),
        (
            ["evaluate", "pairs", "--text", "TEXT", "--reference", "TEXT", "--running"],
            "holds a Translator; --running is for language models",
        ),
        (["evaluate", "pairs", "--text", "BARE", "--reference", "TEXT"], "pair 1 has an empty side, without a word"),
        (
            ["evaluate", "lm", "--source", "y", "--features", "x.npz"],
            "--features is for captioners, and lm seed 1 is",
        ),
        (
            ["evaluate", "ptb-small-average-2", "--seed", "7"],
            "--seed chooses among runs; ptb-small-average-2 is",
        ),
        (["evaluate", "ptb-small-average-2", "--all_seeds"], "--all_seeds chooses among runs; ptb-small-"),
        (["evaluate", "pairs", "--text", "TEXT"], "--text of a translator goes with --reference"),
        (["evaluate", "frames", "--text", "TEXT"], "--text is for language models and translators"),
        (["evaluate", "lm", "--text", "TEXT", "--accelerator", "gpu"], "--accelerator gpu goes with the data of the"),
        (["evaluate", "lm", "--keep"], "--keep is for a --method on the data of the run"),
        (["evaluate", "lm", "--seed", "7"], "has no trained lm with seed 7; trained there: captions seed 1"),
        (["evaluate", "nothing"], "has no trained nothing"),
        (["evaluate", "nothing", "--all_seeds"], "has no trained nothing"),
        (["evaluate", "ptb-small-average-2"], "has 0 trained runs of ptb-small, and ptb-small-average-2 averages 2"),
        (["export", "lm", "FOLDER"], "is not empty and no exported model; name a new folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(trained, rnnreg, tmp_path, words, message) -> None:
    (tmp_path / "own.txt").write_text("the dog\n")
    (tmp_path / "bare.txt").write_text("\x01\n")
    places = {"TEXT": tmp_path / "own.txt", "BARE": tmp_path / "bare.txt", "FOLDER": tmp_path}
    code, _, err = rnnreg(*(places.get(word, word) for word in words), *trained.places)
    assert (code, err.count("\n")) == (1, 1), err
    assert message in err


def test_other_data_under_the_same_name_is_refused(trained, tmp_path, capsys) -> None:
    """A text that has changed since the run would give another figure under the record's name."""
    text = trained.folder / "text" / "test.txt"
    before = text.read_text()
    text.write_text(before + "the dog sees you\n")
    code = main(["evaluate", "lm", *map(str, trained.places)])
    text.write_text(before)
    assert code == 1
    assert "lm seed 1 was trained on other data than " in capsys.readouterr().err
